//! One file for each command of the program.

pub mod analyze;
pub mod check;
pub mod config;
pub mod demo;
pub mod load;
pub mod run;
pub mod serve;
pub mod sql;
