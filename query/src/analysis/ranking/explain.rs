//! One sentence per hot spot, in English and Chinese, with its figures.

use super::super::sentence::Sentence;
use super::Attribute;
use super::category::Category;
use super::cube::{Operation, Place};
use super::verdict::{EntryChange, Measure, Needed};
use super::waits::{Lagging, Left};

/// The figures of a sentence.
pub(super) struct Story<'a> {
    pub category: Category,
    pub service: &'a str,
    pub operation: &'a str,
    pub peer: Option<&'a str>,
    pub instance: Option<&'a str>,
    /// Who holds the time, where that is not the operation itself.
    pub caller: Option<&'a str>,
    /// Critical path per request, ns, its rise, and its share of the latency.
    pub critical: f64,
    pub change: Option<f64>,
    pub share: f64,
    /// Errors or calls per request, or lines per call, before and after, and the call or line meant.
    pub counts: Option<(f64, f64)>,
    pub call: Option<&'a str>,
    pub line: Option<&'a str>,
    /// What repeated calls say.
    pub statement: Option<&'a str>,
}

pub(super) fn explain(story: &Story) -> Sentence {
    match (story.category, story.counts) {
        (_, Some(counts)) if story.line.is_some() => said(story, counts),
        (Category::Error, Some(counts)) => error(story, counts),
        (Category::Structure, Some(counts)) => structure(story, counts),
        _ => time(story),
    }
}

fn time(story: &Story) -> Sentence {
    let (service, operation) = (story.service, story.operation);
    let peer = story.peer.unwrap_or("a dependency");
    let peer_zh = story.peer.unwrap_or("某个依赖");
    let instance = story.instance.unwrap_or("?");
    let (en, zh) = match story.category {
        Category::Database => (
            format!("{service} waits for the database {peer} in \"{operation}\""),
            format!("{service} 在“{operation}”中等待数据库 {peer_zh}"),
        ),
        Category::Cache => (
            format!("{service} waits for the cache {peer} in \"{operation}\""),
            format!("{service} 在“{operation}”中等待缓存 {peer_zh}"),
        ),
        Category::Messaging => (
            format!("{service} waits for the broker {peer} in \"{operation}\""),
            format!("{service} 在“{operation}”中等待消息系统 {peer_zh}"),
        ),
        Category::External => (
            format!("{service} waits for the external service {peer} in \"{operation}\""),
            format!("{service} 在“{operation}”中等待外部服务 {peer_zh}"),
        ),
        Category::Own | Category::Error | Category::Structure => (
            format!("{service} spends time of its own in \"{operation}\""),
            format!("{service} 自身的“{operation}”耗时"),
        ),
        Category::Queue => match story.caller {
            Some(caller) => (
                format!("requests of {caller} queue before {service} begins to serve \"{operation}\""),
                format!("{caller} 的请求在 {service} 开始处理“{operation}”之前排队"),
            ),
            None => (
                format!("\"{operation}\" of {service} waits for a free worker or connection"),
                format!("{service} 的“{operation}”等待空闲的工作线程或连接"),
            ),
        },
        Category::Network => {
            let caller = story.caller.unwrap_or("its callers");
            (
                format!("the network between {caller} and {service} delays \"{operation}\""),
                format!("{caller} 与 {service} 之间的网络使“{operation}”变慢"),
            )
        }
        Category::Retry => (
            format!("{service} repeats failed calls of \"{operation}\" to {peer}"),
            format!("{service} 对 {peer_zh} 的“{operation}”失败后反复重试"),
        ),
        Category::NPlusOne => {
            let (said_en, said_zh) = match story.statement {
                Some(statement) => {
                    let statement = shortened(statement);
                    (format!(" ({statement})"), format!("（{statement}）"))
                }
                None => Default::default(),
            };
            (
                format!("{service} calls \"{operation}\"{said_en} many times in sequence"),
                format!("{service} 逐个重复调用“{operation}”{said_zh}(N+1)"),
            )
        }
        Category::Lock => (
            format!("requests take turns at a lock in \"{operation}\" of {service}"),
            format!("{service} 的“{operation}”中请求争用锁"),
        ),
        Category::Instance => (
            format!("instance {instance} of {service} is slow in \"{operation}\" while its siblings are not"),
            format!("{service} 的实例 {instance} 在“{operation}”中变慢，其他实例正常"),
        ),
    };
    let (share, now) = (100.0 * story.share, duration(story.critical));
    match story.change {
        Some(change) => {
            let more = duration(change.abs());
            let (en_word, zh_word) = if change < 0.0 { ("less", "少") } else { ("more", "多") };
            Sentence {
                en: format!(
                    "{en}: {now} per request, {more} {en_word} than in the baseline, {share:.0} % of the latency."
                ),
                zh: format!("{zh}：每个请求 {now}，比基线{zh_word} {more}，占延迟的 {share:.0}%。"),
            }
        }
        None => Sentence {
            en: format!("{en}: {now} per request, {share:.0} % of the latency."),
            zh: format!("{zh}：每个请求 {now}，占延迟的 {share:.0}%。"),
        },
    }
}

fn error(story: &Story, (before, after): (f64, f64)) -> Sentence {
    let (service, operation) = (story.service, story.operation);
    let (before, after) = (percent(before), percent(after));
    let (to_en, to_zh) = story.peer.map_or(Default::default(), |p| (format!(" to {p}"), format!("（调用 {p}）")));
    Sentence {
        en: format!("\"{operation}\" of {service}{to_en} fails in {after} of the requests, {before} in the baseline."),
        zh: format!("{service} 的“{operation}”{to_zh}在 {after} 的请求中出错，基线为 {before}。"),
    }
}

fn structure(story: &Story, (before, after): (f64, f64)) -> Sentence {
    let (service, operation) = (story.service, story.operation);
    let call = story.call.unwrap_or(operation);
    Sentence {
        en: format!(
            "{service} in \"{operation}\" makes {after:.2} calls of \"{call}\" per request, {before:.2} in the baseline."
        ),
        zh: format!("{service} 的“{operation}”每个请求调用“{call}”{after:.2} 次，基线为 {before:.2} 次。"),
    }
}

fn said(story: &Story, (before, after): (f64, f64)) -> Sentence {
    let (service, operation, line) = (story.service, story.operation, story.line.unwrap_or_default());
    if after < before {
        return Sentence {
            en: format!(
                "{service} in \"{operation}\" no longer says \"{line}\" in its log: {after:.2} lines per call, \
                 {before:.2} in the baseline."
            ),
            zh: format!(
                "{service} 的“{operation}”不再写出日志“{line}”：每次调用 {after:.2} 行，基线为 {before:.2} 行。"
            ),
        };
    }
    Sentence {
        en: format!(
            "{service} in \"{operation}\" says \"{line}\" in its log: {after:.2} lines per call, {before:.2} in the \
             baseline."
        ),
        zh: format!("{service} 的“{operation}”写出日志“{line}”：每次调用 {after:.2} 行，基线为 {before:.2} 行。"),
    }
}

/// A sentence about messages that wait.
pub(super) fn explain_waiting(lag: &Lagging) -> Sentence {
    let Operation { service, operation, .. } = &lag.consumer;
    let (before, now) = (duration(lag.before), duration(lag.now.value));
    let broker = lag.broker.as_ref().filter(|broker| lag.topic.as_ref() != Some(broker));
    let (of_en, of_zh) = match (&lag.topic, broker) {
        (Some(topic), Some(broker)) => {
            (format!("messages of topic {topic} at {broker}"), format!("{broker} 上主题 {topic} 的消息"))
        }
        (Some(topic), None) => (format!("messages of topic {topic}"), format!("主题 {topic} 的消息")),
        (None, Some(broker)) => (format!("messages of {broker}"), format!("{broker} 的消息")),
        (None, None) => ("messages".to_owned(), "消息".to_owned()),
    };
    let (left_en, left_zh) = match lag.left {
        Left::Sent { sent, left } => (
            format!("{left} of {sent} sent in the window were not taken by its end"),
            format!("窗口内发送的 {sent} 条中有 {left} 条到结束时仍未取走"),
        ),
        Left::Piled { before, now } => (
            format!("by its metrics {now:.0} of them lay there on average, {before:.0} in the baseline"),
            format!("据其指标，平均积压 {now:.0} 条，基线为 {before:.0} 条"),
        ),
    };
    Sentence {
        en: format!(
            "{of_en} wait {now} before {service} takes them in \"{operation}\", {before} in the baseline; {left_en}. No \
             request waits for this."
        ),
        zh: format!(
            "{of_zh}在 {service} 的“{operation}”取走之前等待 {now}，基线为 {before}；{left_zh}。没有请求等待它。"
        ),
    }
}

/// Adds where a hot spot is confined to.
pub(super) fn explain_confined(said: &mut Sentence, confined: &Attribute, is_error: bool) {
    let Attribute { key, value, share, share_of_others } = confined;
    let (share, others) = (100.0 * share, 100.0 * share_of_others);
    let (en, zh) = if is_error { ("failed", "失败") } else { ("slow", "慢") };
    let others = if others > 0.0 && others < 1.0 { "< 1".to_owned() } else { format!("{others:.0}") };
    said.en += &format!(" {share:.0} % of the {en} calls have {key} = {value}, {others} % of the others.");
    said.zh += &format!("{zh}调用中 {share:.0}% 的 {key} = {value}，其他调用中为 {others}%。");
}

/// What it takes to tell.
pub(super) fn explain_needed(needed: &Needed) -> Sentence {
    let Needed { seems, requests, baseline_requests } = needed;
    let Some(EntryChange { entry: Place { service, operation }, measure, baseline, window, .. }) = seems else {
        return Sentence {
            en: format!(
                "at least {requests} requests of the same entry are needed in the window and {baseline_requests} in the \
                 baseline"
            ),
            zh: format!("同一入口的请求在窗口内至少需要 {requests} 个，在基线内至少需要 {baseline_requests} 个"),
        };
    };
    let (what_en, what_zh, before, now) = match measure {
        Measure::ErrorRate => ("fail more often", "失败更多", percent(*baseline), percent(*window)),
        _ => ("take longer", "变慢", duration(*baseline), duration(*window)),
    };
    Sentence {
        en: format!(
            "requests of \"{operation}\" of {service} seem to {what_en} ({now}, {before} in the baseline), too few to be \
             sure: about {requests} in the window and {baseline_requests} in the baseline would tell"
        ),
        zh: format!(
            "{service} 的“{operation}”的请求似乎{what_zh}（{now}，基线为 {before}），但数量太少，无法确定：窗口内约需 \
             {requests} 个，基线内约需 {baseline_requests} 个"
        ),
    }
}

/// The beginning of a statement, which may be long.
fn shortened(statement: &str) -> String {
    const MOST: usize = 120;
    let mut beginning: String = statement.chars().take(MOST).collect();
    if beginning.len() < statement.len() {
        beginning.push('…');
    }
    beginning
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Three digits and the fitting unit.
pub(crate) fn duration(ns: f64) -> String {
    // What would be rounded to 1,000 of a unit is one of the next.
    let (value, unit) = match ns {
        n if n >= 999.5e6 => (n / 1e9, "s"),
        n if n >= 999.5e3 => (n / 1e6, "ms"),
        n if n >= 999.5 => (n / 1e3, "µs"),
        n => (n, "ns"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        assert_eq!(duration(41_000_000.0), "41.0 ms");
        assert_eq!(duration(1_234_000_000.0), "1.23 s");
        assert_eq!(duration(987_600.0), "988 µs");
        assert_eq!(duration(999_600.0), "1.00 ms");
        assert_eq!(duration(999.6), "1.00 µs");
        assert_eq!(duration(0.0), "0.00 ns");
    }

    #[test]
    fn a_sentence_has_its_figures_in_both_languages() {
        let story = Story {
            category: Category::Database,
            service: "inventory",
            operation: "UPDATE stock",
            peer: Some("inventory-db"),
            instance: None,
            caller: None,
            critical: 41e6,
            change: Some(38e6),
            share: 0.61,
            counts: None,
            call: None,
            line: None,
            statement: None,
        };
        let said = explain(&story);
        assert_eq!(
            said.en,
            "inventory waits for the database inventory-db in \"UPDATE stock\": 41.0 ms per request, 38.0 ms more than \
             in the baseline, 61 % of the latency."
        );
        assert_eq!(
            said.zh,
            "inventory 在“UPDATE stock”中等待数据库 inventory-db：每个请求 41.0 ms，比基线多 38.0 ms，占延迟的 61%。"
        );
        let again =
            explain(&Story { category: Category::NPlusOne, statement: Some("SELECT a FROM t WHERE b = ?"), ..story });
        let said = "inventory calls \"UPDATE stock\" (SELECT a FROM t WHERE b = ?) many times in sequence: 41.0 ms";
        assert!(again.en.starts_with(said), "{}", again.en);
    }
}
