//! What was found of a path, in a sentence in English and Chinese.

use super::super::sentence::Sentence;
use super::judge::{Judged, Verdict};

/// `places`: the service of the entry, then the callee of each tier.
pub fn explain((service, operation): (&str, &str), places: &[String], one: &Judged) -> Sentence {
    let callee = places.last().map_or("", String::as_str);
    let now = times(one.now.per_request);
    let way: Vec<String> =
        places[1..].iter().zip(&one.tiers).map(|(to, tier)| format!("{to} ×{}", times(tier.now.factor))).collect();
    let way = format!("{service} → {}", way.join(" → "));
    let (normal_en, normal_zh) = match &one.then {
        Some(then) => {
            let then = times(then.per_request);
            (format!(", {then} at normal times"), format!("，平时为 {then} 次"))
        }
        None => {
            let once = times(one.now.per_request / one.retries(|tier| Some(tier.now)).unwrap_or(1.0));
            (format!(", {once} without repeats of failed ones"), format!("，不计失败后的重复为 {once} 次"))
        }
    };
    let en = format!("One request to \"{operation}\" of {service} causes {now} calls of {callee}{normal_en}: {way}.");
    let zh = format!("对 {service} 的“{operation}”的一个请求引起 {now} 次对 {callee} 的调用{normal_zh}：{way}。");
    if one.verdict == Verdict::NotEnoughData {
        return Sentence {
            en: format!("{en} There are too few requests to be sure."),
            zh: format!("{zh}请求太少，无法确定。"),
        };
    }
    let (by_en, by_zh): (Vec<String>, Vec<String>) =
        one.multipliers().into_iter().map(|tier| multiplier(places, one, tier)).unzip();
    if by_en.is_empty() {
        return Sentence { en, zh };
    }
    Sentence {
        en: format!("{en} They are multiplied by {}.", by_en.join(" and by ")),
        zh: format!("{zh}放大来自 {}。", by_zh.join("和 ")),
    }
}

/// What one tier does.
fn multiplier(places: &[String], one: &Judged, tier: usize) -> (String, String) {
    let (from, to) = (&places[tier], &places[tier + 1]);
    let found = &one.tiers[tier];
    let now = times(found.now.factor);
    let (before_en, before_zh) = match found.then {
        Some(then) => {
            let then = times(then.factor);
            (format!(", {then} at normal times"), format!("，平时为 {then} 次"))
        }
        None if one.then.is_some() => (", never at normal times".to_owned(), "，平时从不调用".to_owned()),
        None => Default::default(),
    };
    let repeats = 1.0 - 1.0 / found.now.retries;
    let (retry_en, retry_zh) = if repeats >= 0.01 {
        let part = 100.0 * repeats;
        (format!("; {part:.0} % repeat a failed call"), format!("；{part:.0}% 是失败后的重复"))
    } else {
        Default::default()
    };
    (
        format!("{from} ({now} calls of {to} for each request it serves{before_en}{retry_en})"),
        format!("{from}（每处理一个请求调用 {to} {now} 次{before_zh}{retry_zh}）"),
    )
}

fn times(n: f64) -> String {
    if n >= 100.0 { format!("{n:.0}") } else { format!("{n:.2}") }
}
