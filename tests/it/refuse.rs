//! What hotspan does not take, and how it says so: places it may not start in, clients it does not know, requests that
//! are wrong, disks that are damaged. Each gets a clear answer, and nobody else suffers.

mod access;
mod damage;
mod requests;
mod start;
