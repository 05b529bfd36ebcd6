//! Tokens with scopes, tenants kept apart, TLS on every listener.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use reqwest::StatusCode;
use tonic::metadata::MetadataValue;

use crate::otlp::{self, PROTOBUF};
use crate::server::{Home, Server, hotspan, http_builder, run};

const INGEST: &str = "ingest-0123456789abcdef";
const READ: &str = "read-0123456789abcdef";
const ACME: &str = "acme-0123456789abcdef";
const ADMIN: &str = "admin-0123456789abcdef";

const TOKENS: &str = "
# NAME SCOPES TENANTS TOKEN
shop  ingest       default      ingest-0123456789abcdef
sre   read         default      read-0123456789abcdef
acme  ingest,read  acme         acme-0123456789abcdef
ops   admin        *            admin-0123456789abcdef
";

/// A span whose name says who it was sent for.
fn export(name: &str, id: u64) -> ExportTraceServiceRequest {
    otlp::export("access", vec![otlp::span(u128::from(id), id, name)])
}

fn send(server: &Server, token: &str, tenant: &str, request: &ExportTraceServiceRequest) -> StatusCode {
    let mut post = server.otlp("/v1/traces", PROTOBUF, request.encode_to_vec());
    if !token.is_empty() {
        post = post.bearer_auth(token);
    }
    if !tenant.is_empty() {
        post = post.header("x-scope-orgid", tenant);
    }
    post.send().expect("an answer").status()
}

fn get(server: &Server, token: &str, tenant: &str, path: &str) -> StatusCode {
    let mut request = server.request(path);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !tenant.is_empty() {
        request = request.header("x-scope-orgid", tenant);
    }
    request.send().expect("an answer").status()
}

/// The names of all spans that this token sees, over the command line's own client.
fn names(server: &Server, token: &str, tenant: &str) -> String {
    let mut command = hotspan();
    command.args(["sql", "--server", &server.url(""), "--format", "csv"]).env("HOTSPAN_TOKEN", token);
    if !tenant.is_empty() {
        command.args(["--tenant", tenant]);
    }
    command.arg("SELECT DISTINCT name FROM spans ORDER BY 1");
    crate::server::Ended::of(command.output().expect("runs")).success().text().replace('\n', " ")
}

#[test]
fn tokens_open_what_their_scopes_and_tenants_say() {
    let home = Home::new();
    let tokens = home.file("tokens", TOKENS);
    // With tokens, any address may be bound.
    let server = home.start_with(&["--tokens-file", &tokens, "--listen=0.0.0.0:0"]);
    ingest_needs_the_scope(&server);
    grpc_needs_it_too(&server);
    reading_needs_the_scope(&server);
    tenants_see_their_own_rows(&server);
    let log = server.log();
    let home = server.stop();
    assert!([INGEST, READ, ACME, ADMIN].iter().all(|token| !log.contains(token)), "a token is in the log");
    // Apart on disk, too.
    assert!(home.data().join("tables/spans/_delta_log").is_dir());
    assert!(home.data().join("tenants/acme/tables/spans/_delta_log").is_dir());
    let on_folder = |arguments: &[&str]| home.run("sql", arguments).success().text().replace('\n', " ");
    let statement = "SELECT DISTINCT name FROM spans ORDER BY 1";
    assert_eq!(on_folder(&["--format", "csv", "--tenant", "acme", statement]), "name by-acme by-ops ");
    assert_eq!(on_folder(&["--format", "csv", statement]), "name by-grpc by-shop ");
}

fn ingest_needs_the_scope(server: &Server) {
    let request = export("refused", 1);
    assert_eq!(send(server, "", "", &request), StatusCode::UNAUTHORIZED);
    assert_eq!(send(server, "unknown-0123456789", "", &request), StatusCode::UNAUTHORIZED);
    assert_eq!(send(server, READ, "", &request), StatusCode::FORBIDDEN);
    assert_eq!(send(server, INGEST, "acme", &request), StatusCode::FORBIDDEN);
    assert_eq!(send(server, INGEST, "../acme", &request), StatusCode::BAD_REQUEST);
    assert_eq!(send(server, INGEST, "", &export("by-shop", 2)), StatusCode::OK);
    assert_eq!(send(server, ACME, "", &export("by-acme", 3)), StatusCode::OK, "the token's tenant");
    assert_eq!(send(server, ADMIN, "acme", &export("by-ops", 4)), StatusCode::OK);
}

fn grpc_needs_it_too(server: &Server) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let send = |token: &str, request: ExportTraceServiceRequest| {
        let token: Option<MetadataValue<_>> =
            (!token.is_empty()).then(|| format!("Bearer {token}").parse().expect("plain text"));
        let mut request = tonic::Request::new(request);
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token);
        }
        runtime.block_on(async {
            let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.grpc));
            TraceServiceClient::new(endpoint.expect("an address").connect_lazy()).export(request).await
        })
    };
    assert_eq!(send("", export("refused", 5)).expect_err("no token").code(), tonic::Code::Unauthenticated);
    assert_eq!(send(READ, export("refused", 5)).expect_err("no scope").code(), tonic::Code::PermissionDenied);
    assert_eq!(send(INGEST, export("by-grpc", 6)).expect("taken").into_inner().partial_success, None);
}

fn reading_needs_the_scope(server: &Server) {
    for path in ["/api/v1/status", "/metrics", "/api/v1/schema", "/api/v1/services", "/api/v1/metrics/names"] {
        assert_eq!(get(server, "", "", path), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(get(server, INGEST, "", path), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(get(server, READ, "", path), StatusCode::OK, "{path}");
        assert_eq!(get(server, READ, "acme", path), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(get(server, ADMIN, "acme", path), StatusCode::OK, "{path}");
    }
    let sql = |token: &str| server.post_sql("SELECT 1").bearer_auth(token).send().expect("an answer").status();
    assert_eq!((sql(INGEST), sql(READ)), (StatusCode::FORBIDDEN, StatusCode::OK));
    assert_eq!(server.try_sql("SELECT 1").1["error"]["kind"], "unauthenticated");
    // The page's files hold no data, and probes have no token.
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(get(server, "", "", path), StatusCode::OK, "{path}");
    }
}

fn tenants_see_their_own_rows(server: &Server) {
    assert_eq!(names(server, READ, ""), "name by-grpc by-shop ");
    assert_eq!(names(server, ACME, ""), "name by-acme by-ops ");
    assert_eq!(names(server, ADMIN, "acme"), "name by-acme by-ops ");
    assert_eq!(names(server, ADMIN, "nobody"), "name ");
    let trace = |token: &str| get(server, token, "", &format!("/api/v1/traces/{:032x}", 3));
    assert_eq!((trace(ACME), trace(READ)), (StatusCode::OK, StatusCode::NOT_FOUND));
    let other = server.post_sql("SELECT * FROM tenants.acme.spans").bearer_auth(READ).send().expect("an answer");
    assert_eq!(other.status(), StatusCode::BAD_REQUEST);
    run(["sql", "--server", &server.url(""), "SELECT 1"]).refused(&["no bearer token"]);
}

#[test]
fn tls_is_spoken_on_every_listener() {
    let testdata = |name: &str| format!("collector/testdata/{name}");
    let (certificate, key) = (testdata("localhost.crt"), testdata("localhost.key"));
    let mut server = Home::new().start_with(&["--tls-cert", &certificate, "--tls-key", &key]);
    for address in [&server.listen, &server.http] {
        let plain = server.client.get(format!("http://{address}/healthz")).send();
        assert!(plain.is_err(), "plain HTTP was answered on {address}: {plain:?}");
    }
    let pem = std::fs::read(&certificate).expect("the certificate");
    let trusted = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    let stranger = http_builder().tls_certs_only([]).build().expect("a client");
    assert!(
        stranger.get(format!("https://{}/healthz", server.listen)).send().is_err(),
        "it presents its own certificate"
    );
    server.client = http_builder().tls_certs_only([trusted]).build().expect("a client");
    server.scheme = "https";
    otlp::send(&server, &export("by-tls", 1));
    assert_eq!(server.number("SELECT count(*) FROM spans WHERE name = 'by-tls'"), 1);
    server.stop();
}
