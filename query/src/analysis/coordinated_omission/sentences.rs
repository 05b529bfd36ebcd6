//! What can be told of a load generator, in sentences in English and Chinese.

use super::super::sentence::Sentence;
use super::clock::Clock;
use super::closed_loop::Spread;
use super::intended::ATTRIBUTE;

/// Where no request says when it was meant to be sent.
pub fn how_to_tell() -> Sentence {
    Sentence {
        en: format!(
            "No request tells when it was meant to be sent, so waiting in the load generator is not counted: send \
             {ATTRIBUTE} (nanoseconds since 1970) as an attribute of the request's root or entry span, from k6, JMeter or \
             Gatling as the header \"baggage: {ATTRIBUTE}=…\", which the first service's SDK copies to its span with a \
             baggage span processor."
        ),
        zh: format!(
            "没有请求带有计划发送时间，因此压测工具内部的等待未计入：请在请求的根 span 或入口 span 上设置属性 {ATTRIBUTE}（1970 \
             年以来的纳秒数）；k6、JMeter 或 Gatling 可发送请求头“baggage: {ATTRIBUTE}=…”，由第一个服务的 SDK 通过 baggage \
             span processor 复制到其 span 上。"
        ),
    }
}

/// From when latencies count.
pub fn clock(Clock { requests, told }: Clock) -> Sentence {
    if told == 0 {
        return unknown();
    }
    Sentence::new(
        format!(
            "{told} of {requests} requests tell when they were meant to be sent: latency \"from the intended start\" counts \
             from then, any other from the start of spans."
        ),
        format!(
            "{requests} 个请求中有 {told} 个带有计划发送时间：“自计划发送起”的延迟从该时刻算起，其余延迟从 span 开始算起。"
        ),
    )
}

/// The same of two sides, the earlier one first.
pub fn clocks(before: Clock, after: Clock) -> Sentence {
    let (en, zh) = match (before.is_known(), after.is_known()) {
        (false, false) => return unknown(),
        (true, true) => {
            return Sentence::new(
                format!(
                    "{} of {} requests before and {} of {} after tell when they were meant to be sent: latency \"from the \
                     intended start\" counts from then, any other from the start of spans.",
                    before.told, before.requests, after.told, after.requests
                ),
                format!(
                    "之前 {} 个请求中有 {} 个、之后 {} 个请求中有 {} 个带有计划发送时间：“自计划发送起”的延迟从该时刻算起，\
                     其余延迟从 span 开始算起。",
                    before.requests, before.told, after.requests, after.told
                ),
            );
        }
        (true, false) => ("before", "之前"),
        (false, true) => ("after", "之后"),
    };
    Sentence::new(
        format!(
            "Latency counts from the start of spans: only the requests {en} tell when they were meant to be sent, so nothing \
             can be compared from the intended start."
        ),
        format!("延迟从 span 开始算起：只有{zh}的请求带有计划发送时间，因此无法对比自计划发送起的延迟。"),
    )
}

/// Of figures that count from the start of spans although another clock is known.
pub fn started_although_told() -> Sentence {
    Sentence::new(
        "Latency counts from the start of spans. Requests tell when they were meant to be sent, so what they waited for in the \
         load generator is known, and is not part of it: the run and \"sent late\" have the latency from the intended start.",
        "延迟从 span 开始算起。请求带有计划发送时间，因此已知其在压测工具中的等待，但未计入此处：自计划发送起的延迟见压测页和“延迟发送”。",
    )
}

/// Where no request tells it.
pub fn unknown() -> Sentence {
    Sentence::new(
        "Latency counts from the start of spans: no request tells when it was meant to be sent, so what it waited for in the \
         load generator before that cannot be known.",
        "延迟从 span 开始算起：没有请求带有计划发送时间，因此无法得知请求此前在压测工具中等待了多久。",
    )
}

/// Whether the requests of an entry operation come from a generator that waits for answers.
pub fn entry(service: &str, operation: &str, is_closed: Option<bool>, spread: Option<&Spread>) -> Sentence {
    let percent = |part: f64| format!("{:.0}", 100.0 * part);
    let (en, zh) = match (is_closed, spread) {
        (Some(true), Some(spread)) => {
            let (rate, concurrency) = (percent(spread.rate), percent(spread.concurrency));
            (
                format!(
                    "a closed loop is suspected: when latency rises the rate falls (it varies by {rate} %) and concurrency \
                     stays ({concurrency} %), so the generator waits for answers and sends less than it was meant to"
                ),
                format!(
                    "疑似闭环压测：延迟升高时请求速率下降（波动 {rate}%），而并发数几乎不变（{concurrency}%），\
                     说明压测工具等待响应后才发送下一个请求，少发了请求"
                ),
            )
        }
        (Some(false), _) => (
            "the load does not look like a closed loop: concurrency follows latency".to_owned(),
            "不像闭环压测：并发数随延迟变化".to_owned(),
        ),
        (_, Some(_)) => (
            "latency hardly varied, so it cannot be told whether the generator waits for answers".to_owned(),
            "延迟几乎没有变化，无法判断压测工具是否等待响应".to_owned(),
        ),
        (_, None) => (
            "there are too few requests to tell whether the generator waits for answers".to_owned(),
            "请求太少，无法判断压测工具是否等待响应".to_owned(),
        ),
    };
    Sentence {
        en: format!("\"{operation}\" of {service}: {en}."), zh: format!("{service} 的“{operation}”：{zh}。")
    }
}
