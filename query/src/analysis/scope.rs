//! What every analysis is asked about: a window, perhaps a baseline, and conditions on spans.

use chrono::DateTime;
use model::schema::column;
use model::time::{DAY, HOUR, MINUTE, SECOND};
use model::{Error, Nanos, Result};

use super::Parameter;

/// Half-open, in Unix nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub start: Nanos,
    pub end: Nanos,
}

impl Window {
    /// From the first start to the last end; `None` of no windows.
    pub fn around(windows: &[Window]) -> Option<Window> {
        windows.iter().copied().reduce(|a, b| Window { start: a.start.min(b.start), end: a.end.max(b.end) })
    }

    pub fn holds(&self, at: Nanos) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether it holds all times from the least to the greatest.
    pub fn holds_all(&self, (least, greatest): (Nanos, Nanos)) -> bool {
        self.holds(least) && self.holds(greatest)
    }

    /// Whether it may hold one of them.
    pub fn meets(&self, (least, greatest): (Nanos, Nanos)) -> bool {
        greatest >= self.start && least < self.end
    }

    /// Whether it holds a part of the second that begins then.
    pub fn meets_second(&self, at: Nanos) -> bool {
        self.meets((at, at.saturating_add(SECOND - 1)))
    }

    pub fn seconds(&self) -> f64 {
        (self.end - self.start) as f64 / SECOND as f64
    }
}

#[derive(Debug, Clone)]
pub struct Scope {
    pub window: Window,
    /// Whether the window was asked for, rather than being the default.
    pub window_given: bool,
    pub baseline: Option<Window>,
    pub service: Option<String>,
    pub operation: Option<String>,
    pub kind: Option<String>,
    pub instance: Option<String>,
    /// Attributes by key, with the text they have to have.
    pub attributes: Vec<(String, String)>,
    /// The start of the run that the window is of.
    pub(super) run_start: Option<Nanos>,
    /// Its end, once it has ended.
    pub(super) run_end: Option<Nanos>,
    /// Which traces take part, for the window and for the baseline, as SQL; set by [`super::runs`].
    pub(super) members: [Option<String>; 2],
    /// The analysis' own parameters.
    others: Vec<(String, String)>,
}

/// 2200-01-01T00:00:00Z.
const LATEST: Nanos = 7_258_118_400 * SECOND;
/// Attributes that a question may be narrowed by.
const MOST_ATTRIBUTES: usize = 32;
const DEFAULT_WINDOW: Nanos = 15 * MINUTE;

/// The parameters that every analysis takes, with what they are.
pub const PARAMETERS: &[Parameter] = &[
    parameter("start", "RFC 3339, unix seconds, or relative like now-15m (the default)"),
    parameter("end", "as start; now by default"),
    parameter("baseline_start", "start of what to compare with"),
    parameter("baseline_end", "end of what to compare with"),
    parameter(
        "run",
        "a stress-test run by id or name, or RUN@MARK for a stage of it, as the window; start and end cut a part out of it",
    ),
    parameter("baseline_run", "the run to compare with"),
    parameter("service", "only spans of this service"),
    parameter("operation", "only spans of this name"),
    parameter("kind", "only spans of this kind"),
    parameter("instance", "only spans of this instance"),
    parameter("attr", "only spans with this attribute, as KEY=VALUE; may be repeated"),
];

const fn parameter(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, doc }
}

impl Scope {
    /// Reads URL parameters; unknown names are left to the analysis.
    pub fn parse(parameters: &[(String, String)], now: Nanos) -> Result<Scope> {
        let of = |name: &str| parameters.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str());
        let time = |name: &str| of(name).map(|text| parse_time(text, now).map_err(|e| e.context(name))).transpose();
        let end = time("end")?.unwrap_or(now);
        let start = time("start")?.unwrap_or(end.saturating_sub(DEFAULT_WINDOW));
        let baseline = match (time("baseline_start")?, time("baseline_end")?) {
            (None, None) => None,
            (Some(start), Some(end)) => Some(window("baseline", start, end)?),
            _ => return Err(Error::invalid("a baseline needs baseline_start and baseline_end")),
        };
        let text = |name: &str| of(name).map(str::to_owned);
        let mut attributes = Vec::new();
        for (_, value) in parameters.iter().filter(|(k, v)| k == "attr" && !v.is_empty()) {
            let Some((key, value)) = value.split_once('=') else {
                return Err(Error::invalid(format!("attr {value:?} is not KEY=VALUE")));
            };
            attributes.push((key.to_owned(), value.to_owned()));
        }
        if attributes.len() > MOST_ATTRIBUTES {
            return Err(Error::invalid(format!("{} times attr, at most {MOST_ATTRIBUTES}", attributes.len())));
        }
        Ok(Scope {
            window: window("window", start, end)?,
            window_given: of("start").is_some(),
            baseline,
            service: text("service"),
            operation: text("operation"),
            kind: text("kind"),
            instance: text("instance"),
            attributes,
            run_start: None,
            run_end: None,
            members: [None, None],
            others: parameters.to_vec(),
        })
    }

    /// A parameter of the analysis' own.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.others.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// A number within bounds; outside of them the nearer bound.
    pub fn number(&self, name: &str, default: i64, least: i64, most: i64) -> Result<i64> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let value: f64 = text.parse().map_err(|_| Error::invalid(format!("{name} {text:?} is not a number")))?;
        Ok((value as i64).clamp(least, most))
    }

    /// A number above 0, if given.
    pub fn positive(&self, name: &str) -> Result<Option<f64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(value) if value > 0.0 && value.is_finite() => Ok(Some(value)),
            _ => Err(Error::invalid(format!("{name} {text:?} is not a number above 0"))),
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|v| matches!(v, "true" | "1" | "yes"))
    }

    /// A time of the analysis' own.
    pub fn time(&self, name: &str, now: Nanos) -> Result<Option<Nanos>> {
        self.text(name).map(|text| parse_time(text, now).map_err(|e| e.context(name))).transpose()
    }

    /// The same question about all spans.
    pub fn without_filters(&self) -> Scope {
        let mut scope = self.clone();
        (scope.service, scope.operation, scope.kind, scope.instance) = (None, None, None, None);
        scope.attributes.clear();
        scope
    }

    /// Whether any condition on spans was given.
    pub fn has_filters(&self) -> bool {
        self.service.is_some()
            || self.operation.is_some()
            || self.kind.is_some()
            || self.instance.is_some()
            || !self.attributes.is_empty()
    }

    /// Whether it asks for an operation, by service, name and kind.
    pub fn asks_for(&self, texts: [&str; 3]) -> bool {
        let asked = [&self.service, &self.operation, &self.kind];
        asked.iter().zip(texts).all(|(asked, text)| asked.as_ref().is_none_or(|asked| asked == text))
    }

    /// Whether its conditions are about operations alone: their service, name and kind.
    pub fn is_of_operations(&self) -> bool {
        self.instance.is_none() && self.attributes.is_empty() && super::runs::membership(self).is_none()
    }

    /// The conditions on the trace of a span as SQL, each with `AND` before it: `service` and `operation` choose requests by
    /// their entry, instance and attributes those that have a span with them, near one of the windows. A kind chooses none.
    pub fn entries(&self, windows: &[Window]) -> String {
        let columns = [(column::ENTRY_SERVICE, &self.service), (column::ENTRY_OPERATION, &self.operation)];
        let given = columns.iter().filter_map(|(c, v)| v.as_ref().map(|v| format!("{c} = {}", quoted(v))));
        let traces = super::runs::membership(self).into_iter().chain(self.holding(windows));
        given.chain(traces).map(|condition| format!(" AND {condition}")).collect()
    }

    /// The condition on spans that their trace has one of the instance and with the attributes; `None` when none are asked for.
    fn holding(&self, windows: &[Window]) -> Option<String> {
        let marks = self.marks();
        if marks.is_empty() {
            return None;
        }
        let times: Vec<String> = windows.iter().map(|window| format!("({})", started_in(near(*window)))).collect();
        let spans = format!("({}) AND {}", times.join(" OR "), marks.join(" AND "));
        Some(format!("trace_id IN (SELECT trace_id FROM spans WHERE {spans})"))
    }

    /// The conditions on spans that are about more than their operation.
    fn marks(&self) -> Vec<String> {
        let instance = self.instance.iter().map(|instance| format!("instance_id = {}", quoted(instance)));
        instance.chain(self.attributes.iter().map(|(key, value)| attribute_condition(key, value))).collect()
    }

    /// The conditions on spans as SQL over the view `spans`; `TRUE` when there are none.
    pub fn conditions(&self) -> String {
        let columns = [("service_name", &self.service), ("name", &self.operation), ("kind", &self.kind)];
        let mut all: Vec<String> = columns
            .iter()
            .filter_map(|(column, value)| value.as_ref().map(|v| format!("{column} = {}", quoted(v))))
            .collect();
        all.extend(self.marks());
        all.extend(super::runs::membership(self));
        if all.is_empty() { "TRUE".to_owned() } else { all.join(" AND ") }
    }
}

fn attribute_condition(key: &str, value: &str) -> String {
    let (key, value) = (quoted(key), quoted(value));
    format!("(attributes->>{key} = {value} OR resource_attributes->>{key} = {value})")
}

/// Spans that started in a window, as SQL of our own queries.
pub fn started_in(window: Window) -> String {
    time_range(column::START, window)
}

/// Spans of traces whose entry started in a window. The second half lets files be skipped: a span starts at its
/// entry's time or later, give or take clocks and asynchronous work.
pub fn entered_in(window: Window) -> String {
    format!("{} AND {}", time_range(column::ENTRY_START, window), started_in(near(window)))
}

/// When the spans start of traces whose entry started in a window.
pub fn near(window: Window) -> Window {
    Window { start: window.start.saturating_sub(MINUTE), end: window.end.saturating_add(10 * MINUTE) }
}

/// What has a time in a window, as SQL of our own queries.
pub fn time_range(column: &str, Window { start, end }: Window) -> String {
    format!("{column} >= {start} AND {column} < {end}")
}

/// A text literal; quotes doubled, so that no value can leave it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn window(what: &str, start: Nanos, end: Nanos) -> Result<Window> {
    if end <= start {
        return Err(Error::invalid(format!("the {what} ends before it starts")).hint("start has to be before end"));
    }
    // Within these no calculation with times, and what lies around them, overflows.
    if start < 0 || end > LATEST {
        return Err(Error::invalid(format!("the {what} lies outside of the years 1970 to 2199"))
            .hint("give RFC 3339 (2026-11-11T00:00:00Z), unix seconds, or a time like now-15m"));
    }
    Ok(Window { start, end })
}

/// RFC 3339, Unix seconds (may be fractional), or relative: `now`, `now-15m`. Whole numbers that no year of ours has as
/// seconds are milli-, micro- or nanoseconds, by their digits: the unit of our own answers, and of dashboards.
pub fn parse_time(text: &str, now: Nanos) -> Result<Nanos> {
    let text = text.trim();
    let wrong = || {
        Error::invalid(format!("{text:?} is not a time"))
            .hint("give RFC 3339 (2026-11-11T00:00:00Z), unix seconds, or a time like now-15m")
    };
    if let Some(offset) = text.strip_prefix("now") {
        if offset.is_empty() {
            return Ok(now);
        }
        let (sign, rest) = match offset.as_bytes()[0] {
            b'-' => (-1.0, &offset[1..]),
            b'+' => (1.0, &offset[1..]),
            _ => return Err(wrong()),
        };
        let split = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let number: f64 = rest[..split].parse().map_err(|_| wrong())?;
        let unit = match &rest[split..] {
            "ms" => SECOND / 1000,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            _ => return Err(wrong()),
        };
        return Ok(now.saturating_add((sign * number * unit as f64) as Nanos));
    }
    if let Some(time) = finer(text) {
        return Ok(time);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        // Split before scaling: a double holds whole seconds exactly, and the fraction to a microsecond.
        let whole = seconds.trunc();
        let fraction = ((seconds - whole) * 1e6).round() as Nanos * 1_000;
        return (seconds.abs() < 9e9).then(|| whole as Nanos * SECOND + fraction).ok_or_else(wrong);
    }
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    parsed.timestamp_nanos_opt().ok_or_else(wrong)
}

/// A whole number of Unix milli-, micro- or nanoseconds of the years 2001 to 2199: they have 13, 16 or 19 digits.
fn finer(digits: &str) -> Option<Nanos> {
    let unit = match digits.len() {
        13 => SECOND / 1_000,
        16 => SECOND / 1_000_000,
        19 => 1,
        _ => return None,
    };
    let number = digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse::<Nanos>().ok())??;
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(parameters: &[(&str, &str)]) -> Result<Scope> {
        let owned: Vec<_> = parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Scope::parse(&owned, 1_000 * SECOND)
    }

    #[test]
    fn times_are_read_in_all_forms() {
        let now = 1_000 * SECOND;
        assert_eq!(parse_time("now", now).expect("now"), now);
        assert_eq!(parse_time("now-15m", now).expect("relative"), now - 900 * SECOND);
        assert_eq!(parse_time("now-1.5s", now).expect("relative"), now - 1_500_000_000);
        assert_eq!(parse_time("1700000000.25", now).expect("unix"), 1_700_000_000_250_000_000);
        assert_eq!(parse_time("2023-11-14T22:13:20Z", now).expect("rfc"), 1_700_000_000 * SECOND);
        for finer in ["1700000000123", "1700000000123000", "1700000000123000000"] {
            assert_eq!(parse_time(finer, now).expect("unix"), 1_700_000_000_123_000_000, "{finer}");
        }
        for bad in ["", "yesterday", "17000000001234", "9999999999999999999", "now-", "now-5", "now*5m", "1e30"] {
            assert!(parse_time(bad, now).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_window_that_ends_before_it_starts_and_half_a_baseline_are_refused() {
        assert!(scope(&[("start", "900"), ("end", "800")]).is_err());
        assert!(scope(&[("baseline_start", "800")]).is_err());
        let scope = scope(&[("start", "800"), ("end", "900"), ("attr", "a.b=c=d")]).expect("valid");
        assert_eq!(scope.window, Window { start: 800 * SECOND, end: 900 * SECOND });
        assert_eq!(scope.attributes, [("a.b".to_owned(), "c=d".to_owned())]);
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        let scope = scope(&[("service", "x' OR '1'='1")]).expect("valid");
        assert_eq!(scope.conditions(), "service_name = 'x'' OR ''1''=''1'");
    }
}
