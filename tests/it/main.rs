//! End to end: the real program, driven by nothing but clients.
//!
//! Every test starts the binary in a folder of its own on free ports and talks to it as users do: OTLP by SDKs and
//! HTTP, SQL and the API by HTTP, signals, exit codes, and files on disk. *Invariant:* nothing here links the engine, so
//! this binary builds in seconds, and a test cannot know more than an outsider.

mod bottleneck;
mod cli;
mod crash;
mod disk;
mod ledger;
mod otlp;
mod own;
mod points;
mod refuse;
mod runs;
mod sdk;
mod server;
mod status;
mod visible;
