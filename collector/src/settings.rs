//! What an operator may change about receiving, each with what it costs.
//!
//! Times that follow from how the protocols work (how long a request waits for room, how slow a body may be) are
//! constants beside the code that uses them.

use std::time::Duration;

use model::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::decode::Limits;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Largest export in bytes, as sent and again after decompression. Larger: exporters with huge batches get
    /// through, and each of them may take that much memory at once. What is larger is refused for good (413).
    pub max_request_bytes: u64,
    /// Bytes of exports that may be in work at the same time, over all tenants. Larger: longer stalls of the disk
    /// are ridden out before clients are told to retry, at that much more memory. At least `max_request_bytes`.
    pub max_in_flight_bytes: u64,
    /// Threads that decompress and decode at the same time; 0 means one per core. Fewer: queries and the disk get
    /// more of the machine under a burst, and exports wait longer.
    pub decode_threads: usize,
    /// Web origins whose pages may export over OTLP/HTTP, e.g. `https://shop.example`; `*` means any page. Empty:
    /// browsers keep other pages out. Credentials are never allowed across origins.
    pub cors_origins: Vec<String>,
    pub connections: ConnectionLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_request_bytes: 64 << 20,
            max_in_flight_bytes: 256 << 20,
            decode_threads: 0,
            cors_origins: Vec::new(),
            connections: ConnectionLimits::default(),
        }
    }
}

impl Settings {
    /// # Errors
    /// `Invalid`, naming the setting and what it conflicts with.
    pub fn validate(&self) -> Result<()> {
        let most = Limits::MOST_DECODED_BYTES as u64;
        if self.max_request_bytes == 0 || self.max_request_bytes > most {
            return Err(Error::invalid(format!("max_request_bytes is {}", self.max_request_bytes))
                .hint(format!("it takes 1 to {most}; more than that does not decode into one batch")));
        }
        if self.max_in_flight_bytes < self.max_request_bytes {
            return Err(Error::invalid(format!(
                "max_in_flight_bytes is {}, less than max_request_bytes {}",
                self.max_in_flight_bytes, self.max_request_bytes
            ))
            .hint("the largest export could never be admitted"));
        }
        for origin in &self.cors_origins {
            if http::HeaderValue::from_str(origin).is_err() {
                return Err(Error::invalid(format!("{origin:?} in cors_origins is not an origin")));
            }
        }
        self.connections.validate()
    }
}

/// How long and how many connections of one listener may live. Times are in seconds and may be fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionLimits {
    /// Connections open at the same time; beyond it newcomers take the places of idle ones, or are closed at once. More:
    /// each may hold about half a MiB of what its peer sent and nobody has read yet.
    pub max_connections: usize,
    /// From the accepted connection to its first whole request. Shorter: peers that send their headers a byte at
    /// a time hold a connection for less long; clients that connect long before they send have to reconnect.
    #[serde(with = "seconds")]
    pub header_timeout: Duration,
    /// How long a connection without a request in work stays open while there is room, and how long a request's headers may take on
    /// it. Keep it above the exporters' interval (60 s for metrics), else every export opens a connection, and
    /// some meet one that is just being closed.
    #[serde(with = "seconds")]
    pub idle_timeout: Duration,
    /// How long requests in work may take to finish at shutdown before their connection is cut.
    #[serde(with = "seconds")]
    pub drain_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(150),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl ConnectionLimits {
    fn validate(&self) -> Result<()> {
        if self.max_connections == 0 {
            return Err(Error::invalid("max_connections is 0").hint("an empty address turns a listener off"));
        }
        if self.header_timeout.is_zero() || self.idle_timeout.is_zero() {
            return Err(Error::invalid("header_timeout and idle_timeout have to be above 0"));
        }
        Ok(())
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| D::Error::custom(format!("{seconds} is not a time in seconds")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_being_written() {
        let settings = Settings::default();
        settings.validate().expect("valid");
        let text = serde_json::to_string(&settings).expect("writes");
        assert_eq!(serde_json::from_str::<Settings>(&text).expect("reads"), settings);
    }

    #[test]
    fn an_unknown_or_impossible_setting_is_named() {
        let unknown = serde_json::from_str::<Settings>(r#"{"max_request_byte":1}"#).expect_err("unknown");
        assert!(unknown.to_string().contains("max_request_byte"), "{unknown}");
        let small = Settings { max_in_flight_bytes: 5, max_request_bytes: 6, ..Settings::default() };
        let message = small.validate().expect_err("too small").message;
        assert_eq!(message, "max_in_flight_bytes is 5, less than max_request_bytes 6");
        let huge = Settings { max_request_bytes: 1 << 32, max_in_flight_bytes: 1 << 33, ..Settings::default() };
        assert_eq!(huge.validate().expect_err("too large").message, "max_request_bytes is 4294967296");
        let negative =
            serde_json::from_str::<Settings>(r#"{"connections":{"idle_timeout":-1}}"#).expect_err("negative");
        assert!(negative.to_string().contains("-1"), "{negative}");
    }
}
