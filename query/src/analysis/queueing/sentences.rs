//! What was found of a pair of services, in a sentence in English and Chinese.

use super::super::ranking::duration;
use super::super::sentence::Sentence;
use super::judge::{Judgement, LEAST_RANGE, Level, Verdict};

pub fn explain((caller, service): (&str, &str), found: &Judgement) -> Sentence {
    let (Some((low, high)), true) = (found.rates, found.verdict != Verdict::NotEnoughData) else {
        return Sentence {
            en: format!("{} calls of {caller} to {service} are too few to hold against the load.", found.calls),
            zh: format!("{caller} 对 {service} 的 {} 次调用太少，无法与负载对照。", found.calls),
        };
    };
    let (low, high) = (rate(low), rate(high));
    let (Some(quiet), Some(busy)) = (&found.quiet, &found.busy) else {
        return Sentence {
            en: format!(
                "The load of {service} did not vary enough to tell whether calls of {caller} queue: {low} to {high}; at \
                 least ×{LEAST_RANGE} is needed."
            ),
            zh: format!(
                "{service} 的负载变化不足，无法判断 {caller} 的调用是否排队：{low} 到 {high}；至少需要 ×{LEAST_RANGE}。"
            ),
        };
    };
    let mean = |level: &Level| duration(level.mean.value);
    let p99 = |level: &Level| level.sum.gaps.quantile(0.99).map_or_else(|| "–".to_owned(), duration);
    let (now, then, now_p99, then_p99) = (mean(busy), mean(quiet), p99(busy), p99(quiet));
    let en = format!("{then} at {low}, {now} at {high} (p99 {then_p99} and {now_p99})");
    let zh = format!("{low} 时 {then}，{high} 时 {now}（p99 为 {then_p99} 和 {now_p99}）");
    let what_en = format!("What calls of {caller} to {service} wait beside being served");
    let what_zh = format!("{caller} 对 {service} 的调用在处理之外的等待");
    match found.verdict {
        Verdict::GrowsWithLoad => {
            let (from_en, from_zh) = match found.grows_from.map(rate) {
                Some(from) => (format!("; it is longer from about {from} on"), format!("；约从 {from} 起变长")),
                None => Default::default(),
            };
            Sentence {
                en: format!("{what_en} grows with load: {en}{from_en}."),
                zh: format!("{what_zh}随负载增长：{zh}{from_zh}。"),
            }
        }
        Verdict::FallsWithLoad => Sentence {
            en: format!("{what_en} falls with load: {en}."),
            zh: format!("{what_zh}随负载下降：{zh}。"),
        },
        Verdict::DoesNotDependOnLoad => Sentence {
            en: format!("{what_en} does not depend on load: {en}."),
            zh: format!("{what_zh}与负载无关：{zh}。"),
        },
        _ => {
            let interval = found.change.filter(|change| change.variance.is_finite()).map(|change| change.interval());
            let (by_en, by_zh) = match interval {
                Some((least, most)) => {
                    let (least, most) = (signed(least), signed(most));
                    (
                        format!("; the change lies between {least} and {most}"),
                        format!("；变化介于 {least} 与 {most} 之间"),
                    )
                }
                None => ("; there are too few seconds of either".to_owned(), "；两端的时间都太短".to_owned()),
            };
            Sentence {
                en: format!(
                    "Whether what calls of {caller} to {service} wait beside being served grows with load cannot be told: {en}{by_en}."
                ),
                zh: format!("无法判断{what_zh}是否随负载增长：{zh}{by_zh}。"),
            }
        }
    }
}

fn rate(per_second: f64) -> String {
    if per_second >= 10.0 { format!("{per_second:.0}/s") } else { format!("{per_second:.1}/s") }
}

fn signed(ns: f64) -> String {
    if ns < 0.0 { format!("−{}", duration(-ns)) } else { duration(ns) }
}
