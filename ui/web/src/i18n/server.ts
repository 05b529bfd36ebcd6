// What the server says in English only, in Chinese: messages and hints that a page meets in use, and what an import notes
// of its file. Any other is shown as the server wrote it, an error below its kind in Chinese. A test looks each one up in
// the server's source, so that a text which changes there is changed here.

import type { Saying } from "../lib/said";

export const SERVER_ZH: readonly Saying[] = [
  // Limits.
  ["the query took longer than {limit} s", "查询超过了 {limit} 秒的时限"],
  [
    "narrow the time range, filter by service_name, or select fewer columns",
    "请缩小时间范围、按应用（service_name）筛选，或减少查询的列",
  ],
  [
    "the query was ended after {ran} s, of which it computed for {computed}, since others wait for their turn",
    "查询运行 {ran} 秒（其中计算 {computed} 秒）后被终止：有其他查询在排队",
  ],
  [
    "narrow the time range, filter by service_name, or ask again when fewer people do",
    "请缩小时间范围、按应用（service_name）筛选，或等查询的人少些再试",
  ],
  ["the query needs more memory than it may have (query.memory_bytes)", "查询所需内存超过上限（query.memory_bytes）"],
  [
    "the query was ended because the process came near its memory limit (query.process_bytes)",
    "进程内存接近上限（query.process_bytes），查询被终止",
  ],
  [
    "the query needs more room on disk than it may have (query.spill_bytes)",
    "查询所需的临时磁盘空间超过上限（query.spill_bytes）",
  ],
  [
    "the query was ended because it still had rows that have left memory since it began, and the process came near its memory limit (query.process_bytes)",
    "查询仍持有已移出内存的旧数据，且进程内存接近上限（query.process_bytes），因此被终止",
  ],
  [
    "leave out the newest seconds, narrow the time range, or ask again when less is coming in",
    "请避开最近几秒、缩小时间范围，或在写入量下降后再查",
  ],
  [
    "the query could not begin within {limit} s, since others had all places or cores",
    "查询在 {limit} 秒内未能开始：名额或处理器核都被占用",
  ],
  ["ask again when less is coming in or fewer people ask", "请在写入量或查询人数下降后再查"],
  ["narrow the time range, group by fewer values, or add a LIMIT", "请缩小时间范围、减少分组的取值，或加上 LIMIT"],
  ["the metric has more than {n} points in this window", "该指标在此窗口内超过 {n} 个数据点"],
  ["narrow the window or give a service", "请缩小窗口或指定应用"],
  ["{n} queries are waiting already", "已有 {n} 个查询在排队"],
  ["try again in a second", "请稍后重试"],

  // Times, filters and names.
  ["{text} is not a time", "{text} 不是有效的时间"],
  [
    "give RFC 3339 (2026-11-11T00:00:00Z), unix seconds, or a time like now-15m",
    "请使用 RFC 3339（2026-11-11T00:00:00Z）、Unix 秒，或 now-15m 这样的写法",
  ],
  ["the {what} ends before it starts", "{what}的结束早于开始"],
  ["start has to be before end", "开始须早于结束"],
  ["the {what} lies outside of the years 1970 to 2199", "{what}超出 1970 至 2199 年"],
  ["a baseline needs baseline_start and baseline_end", "基线需要 baseline_start 和 baseline_end"],
  ["window", "窗口"],
  ["baseline", "基线"],
  ["attr {value} is not KEY=VALUE", "attr {value} 的格式不是 KEY=VALUE"],
  ["there is no trace {id}", "没有调用链 {id}"],
  [
    "it may be older than the retention, belong to another tenant, or never have arrived",
    "它可能已超出保留期、属于其他租户，或从未到达",
  ],
  ["metric {name} has no points in this window", "指标 {name} 在此窗口内没有数据点"],
  ["widen the window, or see GET /api/v1/metrics/names", "请扩大窗口，或用 GET /api/v1/metrics/names 查看有哪些指标"],
  ["only counters and histograms have a rate", "只有计数器和直方图才有速率"],
  ["use avg, max or min", "请使用 avg、max 或 min"],
  ["nothing is at {path}", "{path} 处没有内容"],

  // Stress-test runs.
  ["there is no run {name}", "没有压测 {name}"],
  ["GET /api/v1/runs lists them", "GET /api/v1/runs 列出全部压测"],
  ["GET /api/v1/runs or `hotspan run list` has them", "GET /api/v1/runs 或 `hotspan run list` 列出全部压测"],
  [
    "GET /api/v1/runs lists them; a stage of a run is RUN@MARK",
    "GET /api/v1/runs 列出全部压测；压测的阶段写作 RUN@MARK",
  ],
  ["the run {name} has no mark {mark}", "压测 {name} 没有打点 {mark}"],
  ["its marks: {marks}", "它的打点：{marks}"],
  ["{name} has not begun yet", "{name} 尚未开始"],
  [
    "start and end lie outside of {name}, which went from {start} to {end}",
    "所选时间在压测 {name} 之外；它从 {start} 到 {end}",
  ],
  ["leave them out to ask about all of it", "去掉时间即可查询整次压测"],
  ["{a} and {b} ran at the same time", "{a} 与 {b} 在同一时间进行"],
  ["{analysis} compares such runs; others take one of them", "这样的压测请用 {analysis} 对比；其他分析每次只取其一"],
  ["a run needs a name", "压测需要名称"],
  ["for example round-3", "例如 round-3"],
  ["the run ends before it starts", "压测的结束早于开始"],
  ["end_time has to be after start_time", "end_time 须晚于 start_time"],
  ["a mark needs a name and a time after the run's start", "打点需要名称，且时间须晚于压测开始"],
  ["more than {n} marks", "打点超过 {n} 个"],
  ["{n} labels, at most {most} are kept", "{n} 个标签，最多保存 {most} 个"],
  ["{what} has {bytes} bytes, at most {most} are kept", "{what}有 {bytes} 字节，最多保存 {most} 字节"],
  ["the name", "名称"],
  ["the notes", "备注"],
  ["a label", "标签"],
  ["a mark's name", "打点名称"],
  ["there are {n} runs already, more are not kept", "已有 {n} 次压测，不再保存更多"],
  ["{n} runs are named {name}: {ids}", "有 {n} 次压测名为 {name}：{ids}"],
  ["give the id of the one to delete", "请给出要删除的那一次的 id"],
  ["only spans tell of the run {name}: there is nothing to delete", "压测 {name} 只见于 Span，没有可删除的记录"],
  ["it is listed for as long as its spans are kept", "在其 Span 的保留期内，它会一直列出"],

  // What an import says of a load generator's figures.
  ["percentiles were counted from the log, to three digits", "百分位由日志统计，保留三位有效数字"],
  ["times of the file are whole seconds", "文件中的时间为整秒"],
  ["of the names, the {n} with the most requests are kept", "只保留请求最多的 {n} 个名称"],
  ["{n} lines are no records and were left out", "{n} 行不是记录，未计入"],
  [
    "the summary has no p(99); summaryTrendStats of the test asks for it",
    "摘要中没有 p(99)；可在测试的 summaryTrendStats 中加上",
  ],
  [
    "this form of k6's summary has no p(99); k6 run --out json=points.json has all times",
    "这种 k6 摘要没有 p(99)；k6 run --out json=points.json 含有全部时间",
  ],
  ["the end is the time at which k6 made the summary", "结束时间取 k6 生成摘要的时间"],
  ["the file ends in the middle of line {n}, which is left out", "文件在第 {n} 行中间结束，该行未计入"],
  ["the file ends in the middle of record {n}, which is left out", "文件在第 {n} 条记录中间结束，该条未计入"],
  [
    "percentiles are taken for JMeter's defaults, 90, 95 and 99; the file does not name them",
    "百分位按 JMeter 的默认值 90、95、99 理解；文件中没有写明",
  ],
  ["labels may be transactions, whose requests are counted as well", "标签可能是事务，其中的请求也单独计数"],
  [
    "percentiles are taken for Gatling's defaults, 50, 95 and 99; the file does not name them",
    "百分位按 Gatling 的默认值 50、95、99 理解；文件中没有写明",
  ],

  // SQL.
  ["the statement is empty", "语句为空"],
  ["try SELECT * FROM spans LIMIT 10", "试试 SELECT * FROM spans LIMIT 10"],
  ["{n} statements at once", "一次有 {n} 条语句"],
  ["send one statement at a time", "请一次只发送一条语句"],
  ["{what} is refused: only queries that read are allowed", "{what} 被拒绝：只允许读取数据的查询"],
  [
    "use SELECT, WITH … SELECT, VALUES, EXPLAIN, SHOW TABLES or DESCRIBE",
    "请使用 SELECT、WITH … SELECT、VALUES、EXPLAIN、SHOW TABLES 或 DESCRIBE",
  ],
  ["the statement has {n} {what}, at most {most} are allowed", "语句有 {n} 个{what}，最多允许 {most} 个"],
  ["bytes", "字节"],
  ["tokens", "词元"],
  ["operators", "运算符"],
  ["nested brackets", "嵌套括号"],
  ["joins and set operations", "连接与集合运算"],
  ["split the statement", "请拆分语句"],
  ["use WITH to name the inner parts", "请用 WITH 为内层部分命名"],
  ["the dialect is PostgreSQL's, as DataFusion speaks it", "语法为 PostgreSQL 方言（DataFusion 所支持的部分）"],
  ["no table {name}", "没有表 {name}"],
  ["the tables are spans, metrics, logs and runs", "可用的表：spans、metrics、logs、runs"],
  ["no column {name}", "没有列 {name}"],
  ["did you mean {names}?", "是否想写 {names}？"],
  ["text stands in 'single quotes'; DESCRIBE spans lists the columns", "文本请用 '单引号'；DESCRIBE spans 列出各列"],
  ["column {name} is ambiguous", "列 {name} 不明确"],
  ["put the table's name or alias before it, as in spans.name", "请在前面加上表名或别名，例如 spans.name"],
  ["no function {name}", "没有函数 {name}"],
  [
    "functions that reach files or the network, or whose result has no bound, are not available",
    "访问文件或网络的函数，以及结果没有上限的函数，均不可用",
  ],
  ["the regular expression cannot be used: {why}", "正则表达式无法使用：{why}"],
  [
    "the syntax is that of Rust's regex crate: without look-around and references back",
    "语法为 Rust 的 regex 库：不支持环视与反向引用",
  ],

  // Who asks.
  ["no bearer token", "没有访问令牌"],
  ["unknown bearer token", "未知的访问令牌"],
  ["send the header 'Authorization: Bearer <token>'", "请在请求头中发送 Authorization: Bearer <token>"],
  ["this token may not {scope}", "该令牌没有 {scope} 权限"],
  ["this token may not act for tenant {tenant}", "该令牌不能用于租户 {tenant}"],
  ["this request comes from a page of another site", "该请求来自其他站点的页面"],
  [
    "programs send 'Authorization: Bearer <token>' instead of a cookie; behind a proxy, pass the Host header on",
    "程序请用 Authorization: Bearer <token> 代替 Cookie；若经过代理，请转发 Host 请求头",
  ],

  // The server's own trouble.
  ["the query engine has stopped", "查询引擎已停止"],
  ["the query failed unexpectedly", "查询意外失败"],
  ["the query failed unexpectedly; this is a bug", "查询意外失败；这是程序缺陷"],
  ["the server's log says more", "详情见服务器日志"],
  ["a data file is missing", "缺少一个数据文件"],
  ["a data file cannot be read", "有一个数据文件无法读取"],
  ["run 'hotspan check'; the server's log names the file", "请运行 hotspan check；服务器日志写明了文件名"],
  ["a data file cannot be reached; the server's log says why", "有一个数据文件无法访问；原因见服务器日志"],
  ["the query cannot use its temporary files; the server's log says why", "查询无法使用临时文件；原因见服务器日志"],
  ["the {disk} has {free} MiB free, less than {least} MiB", "{disk}剩余 {free} MiB，低于 {least} MiB"],
  ["data disk", "数据磁盘"],
  ["disk of the write-ahead log", "预写日志所在磁盘"],
  ["the write-ahead {part} is full: it holds {held} of {limit} bytes", "预写日志的{part}已满：{held} / {limit} 字节"],
  ["queue", "队列"],
  ["log", "空间"],
  ["no space left while {doing}: {why}", "磁盘空间不足（{doing}）：{why}"],
  [
    "free space on the data disk, or raise the quota on it; exporters retry meanwhile",
    "请在数据磁盘上腾出空间或提高配额；其间发送方会自动重试",
  ],
  ["the write-ahead log has stopped: {why}", "预写日志已停止：{why}"],
];
