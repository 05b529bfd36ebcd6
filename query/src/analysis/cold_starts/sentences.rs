//! What was found of cold starts, in a sentence in English and Chinese.

use super::super::ranking::duration;
use super::super::sentence::Sentence;

/// Instances of a service: how many started, were slow, the longest time of that, and what was lost, in ns.
pub fn service(service: &str, started: usize, slow: usize, longest: Option<&i64>, lost: f64) -> Sentence {
    let Some(longest) = longest else {
        return Sentence {
            en: format!("{started} instances of {service} started; of none it is known that it was slow at first."),
            zh: format!("{service} 有 {started} 个实例启动；没有实例可确认启动初期较慢。"),
        };
    };
    let (longest, lost) = (duration(*longest as f64), duration(lost));
    Sentence {
        en: format!(
            "{started} instances of {service} started, {slow} of them were slow at first, for up to {longest}: requests \
             lost {lost}."
        ),
        zh: format!(
            "{service} 有 {started} 个实例启动，其中 {slow} 个启动初期较慢，最长 {longest}：请求共损失 {lost}。"
        ),
    }
}

/// A function: its cold invocations, the means of cold and warm ones, and what was lost, in ns.
pub fn function(service: &str, operation: &str, cold: i64, means: Option<(f64, f64)>, lost: f64) -> Sentence {
    let Some((mean, warm)) = means else {
        return Sentence {
            en: format!(
                "\"{operation}\" of {service} began cold {cold} times, and never warm: nothing to compare with."
            ),
            zh: format!("{service} 的“{operation}”冷启动 {cold} 次，没有热调用可比较。"),
        };
    };
    let (mean, warm, lost) = (duration(mean), duration(warm), duration(lost));
    Sentence {
        en: format!(
            "\"{operation}\" of {service} began cold {cold} times: {mean} instead of {warm}, {lost} lost altogether."
        ),
        zh: format!("{service} 的“{operation}”冷启动 {cold} 次：耗时 {mean} 而非 {warm}，共损失 {lost}。"),
    }
}

/// Of the whole answer.
pub fn summary(services: usize, started: usize, cold: i64) -> Sentence {
    match (services, started, cold) {
        (0, _, 0) => Sentence {
            en: "No service with service.instance.id serves calls in this window, and no span says faas.coldstart: cold \
                 starts cannot be told."
                .to_owned(),
            zh: "窗口内没有带 service.instance.id 的服务处理调用，也没有 faas.coldstart：无法判断冷启动。".to_owned(),
        },
        (_, 0, 0) => Sentence {
            en: format!("Of {services} services no instance started while its service was at work."),
            zh: format!("{services} 个服务中没有实例在服务运行期间启动。"),
        },
        _ => Sentence {
            en: format!(
                "{started} instances started while their service was at work; {cold} invocations of functions began cold."
            ),
            zh: format!("{started} 个实例在服务运行期间启动；{cold} 次函数调用为冷启动。"),
        },
    }
}
