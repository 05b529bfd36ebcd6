//! The collector as its clients see it: real tonic and hyper clients against a store that records what it got, can
//! fail and can stall.

mod attack;
mod decoder;
mod grpc;
mod http;
mod listen;
mod malformed;
mod overload;
mod pipeline;
mod support;
