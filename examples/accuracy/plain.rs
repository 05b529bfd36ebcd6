//! What plain rankings say: operations by how much one figure rose.

use anyhow::Result;
use model::Tenant;
use query::Engine;

use crate::memory::failed;

/// The figures that plain rankings go by, as SQL.
pub const P99: &str = "quantile(duration_ns, 0.99)";
pub const SELF_TIME: &str = "avg(self_time_ns)";

/// Service and operation, by the rise of a figure from the spans for which `before` holds to those of `after`.
pub async fn ranking(engine: &Engine, figure: &str, after: &str, before: &str) -> Result<Vec<(String, String)>> {
    let side = |spans: &str| {
        format!("SELECT service_name, name, {figure} AS f FROM spans WHERE {spans} GROUP BY service_name, name")
    };
    let sql = format!(
        "SELECT a.service_name, a.name FROM ({}) a JOIN ({}) b ON a.service_name = b.service_name AND a.name = b.name \
         ORDER BY a.f - b.f DESC",
        side(after),
        side(before),
    );
    let found = engine.sql(&Tenant::default(), &sql, &[]).await.map_err(failed)?;
    let text = String::from_utf8(query::output::write(&found, query::output::Format::Csv).map_err(failed)?)?;
    let places = text.lines().skip(1).filter_map(|line| line.split_once(','));
    Ok(places.map(|(service, name)| (service.to_owned(), name.trim_matches('"').to_owned())).collect())
}
