//! What can be told of a load generator, in sentences in English and Chinese.

use super::super::sentence::Sentence;
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
