//! What one request may hold before something is cut. Each limit says what happens beyond it.
//!
//! Rows are a pure function of the payload *and* of these limits, so a store that replays its log has to decode
//! with the limits under which the rows were acknowledged.

/// Limits of decoding. The defaults are far above what an SDK sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body after decompression. Beyond it the request is refused as `TooLarge`.
    pub max_decoded_bytes: usize,
    /// Bytes of one attribute's value. Beyond it the value is cut (anomaly `truncated`).
    pub max_value_bytes: usize,
    /// Attributes of one span, event, link, record, data point, resource, scope or kvlist. The rest is dropped and counted
    /// in `dropped_attributes_count` (anomaly `truncated`).
    pub max_attributes: usize,
    /// Arrays and kvlists inside each other. What lies deeper is kept as bytes (anomaly `deep_nesting`).
    pub max_depth: usize,
    /// Events or links of one span, exemplars or quantiles of one point. The rest is dropped and counted where OTLP
    /// has a count for it (anomaly `truncated`).
    pub max_list: usize,
    /// Buckets of one histogram's point. Beyond it the point is rejected: half a histogram would be a wrong one.
    pub max_buckets: usize,
    /// Quarters of rows, events, links, exemplars and quantiles of a request, and eighths of its buckets. Two bytes can
    /// stand for each, and each takes up to a hundred in columns. Beyond it the request is refused as `TooLarge`.
    pub max_elements: usize,
}

/// A row without anything in it takes as much room as so many events.
pub(super) const ROW: usize = 4;

impl Limits {
    /// No setting goes beyond this: Arrow's string blocks and list offsets are 32 bits wide, and JSON text can be
    /// six times as long as the text it escapes.
    pub const MOST_DECODED_BYTES: usize = 256 << 20;

    pub(super) fn decoded_bytes(&self) -> usize {
        self.max_decoded_bytes.min(Self::MOST_DECODED_BYTES)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_decoded_bytes: 64 << 20,
            max_value_bytes: 64 << 10,
            max_attributes: 1024,
            max_depth: 64,
            max_list: 4096,
            max_buckets: 64 << 10,
            max_elements: 4 << 20,
        }
    }
}
