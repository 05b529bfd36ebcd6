//! What was found of an instance, and of all, in a sentence in English and Chinese.

use super::super::ranking::{Operation, duration};
use super::super::sentence::Sentence;
use super::LeftOut;
use super::siblings::{Comparison, Kind};

pub fn found(operation: &Operation, instance: &str, comparison: &Comparison, minutes: f64) -> Sentence {
    let (service, name) = (&operation.service, &operation.operation);
    let (value, siblings) = (comparison.value, comparison.siblings);
    let times = value / siblings;
    let extra = comparison.extra / minutes;
    let (en, zh) = match comparison.kind {
        Kind::Slow => {
            let (own, others, lost) = (duration(value), duration(siblings), duration(extra));
            (
                format!(
                    "Instance {instance} of {service} takes {own} of its own in \"{name}\", its siblings {others}: \
                     requests lose {lost} a minute."
                ),
                format!(
                    "{service} 的实例 {instance} 在“{name}”中自身耗时 {own}，其他实例为 {others}：请求每分钟损失 {lost}。"
                ),
            )
        }
        Kind::Errors => {
            let (own, others) = (100.0 * value, 100.0 * siblings);
            (
                format!(
                    "\"{name}\" fails on instance {instance} of {service} in {own:.1} % of the calls, on its siblings \
                     in {others:.1} %: {extra:.0} more failed calls a minute."
                ),
                format!(
                    "{service} 的实例 {instance} 上“{name}”的错误率为 {own:.1}%，其他实例为 {others:.1}%：\
                     每分钟多出 {extra:.0} 次失败。"
                ),
            )
        }
        Kind::Load => (
            format!(
                "Instance {instance} of {service} serves {times:.1} times as many calls of \"{name}\" as its siblings: \
                 {extra:.0} more a minute."
            ),
            format!(
                "{service} 的实例 {instance} 承担的“{name}”调用是其他实例的 {times:.1} 倍：每分钟多 {extra:.0} 次。"
            ),
        ),
    };
    Sentence { en, zh }
}

/// Of the whole answer.
pub fn summary(verdict: &str, judged: usize, operations: usize, left_out: &LeftOut) -> Sentence {
    let LeftOut { no_instance_id, one_instance, too_few_calls } = left_out;
    let (en, zh) = match verdict {
        "skewed" => (
            format!(
                "Of {operations} operations that run on several instances, some instances differ from their siblings."
            ),
            format!("在多实例运行的 {operations} 个操作中，有实例与其他实例不同。"),
        ),
        "even" => (
            format!("No instance differs from its siblings, in {operations} operations that run on several instances."),
            format!("在多实例运行的 {operations} 个操作中，没有实例与其他实例不同。"),
        ),
        _ => ("There is too little to compare instances by.".to_owned(), "数据不足，无法比较实例。".to_owned()),
    };
    Sentence {
        en: format!(
            "{en} Judged: {judged} times an instance in an operation. Not judged: {too_few_calls} with fewer than 20 \
             calls at the time of a sibling, {one_instance} operations on one instance only, {no_instance_id} operations \
             without service.instance.id."
        ),
        zh: format!(
            "{zh}已判断 {judged} 个“操作 × 实例”。未判断：{too_few_calls} 个与其他实例同时段的调用少于 20 次，{one_instance} \
             个操作只有一个实例，{no_instance_id} 个操作没有 service.instance.id。"
        ),
    }
}
