//! What the load generator spends on making requests, without sending them: microseconds a span by encoding.
//!
//! `cargo run -p hotspan-demo --example request_speed`

use std::time::Instant;

use bytes::BytesMut;
use hotspan_demo::load::{Generator, Settings};

fn main() {
    const EXPORTS: u64 = 4_000;
    let settings = Settings::default();
    let generator = Generator::new(&settings, 1_800_000_000_000_000_000);
    let mut buffer = BytesMut::new();
    let (mut bytes, began) = (0, Instant::now());
    for export in 0..EXPORTS {
        buffer.clear();
        generator.write(export, &mut buffer);
        bytes += buffer.len();
    }
    let spans = EXPORTS * settings.spans_per_export as u64;
    let each = began.elapsed().as_secs_f64() * 1e6 / spans as f64;
    println!("{each:.3} µs a span, {} bytes a span, {spans} spans", bytes as u64 / spans);
}
