// What a newcomer sees before the first span: where to send, and how for the usual senders.

import { useState } from "react";
import type { StatusAnswer } from "../api/types";
import { useText } from "../i18n";
import { Snippet } from "./copy";
import { Segmented } from "./segmented";

type Sender = "sdk" | "java" | "collector";

export function FirstRun({ endpoints }: { endpoints: StatusAnswer["endpoints"] }) {
  const { t } = useText();
  const [sender, setSender] = useState<Sender>("sdk");
  const grpc = endpoints.otlp_grpc ?? t("firstrun.off");
  const http = endpoints.otlp_http ?? t("firstrun.off");
  return (
    <div className="page first-run">
      <h1>{t("firstrun.title")}</h1>
      <p className="lead">{t("firstrun.lead")}</p>
      <dl className="endpoints">
        <div>
          <dt>OTLP/gRPC</dt>
          <dd className="mono">{grpc}</dd>
        </div>
        <div>
          <dt>OTLP/HTTP</dt>
          <dd className="mono">{http}</dd>
        </div>
      </dl>
      <Segmented
        name={t("firstrun.sender")}
        value={sender}
        options={[
          { value: "sdk", label: t("firstrun.sdk") },
          { value: "java", label: t("firstrun.java") },
          { value: "collector", label: t("firstrun.collector") },
        ]}
        onChange={(s) => setSender(s)}
      />
      <Snippet title={t(`firstrun.${sender}`)} text={SNIPPETS[sender](grpc)} />
      <p className="dim">{t("firstrun.demo")}</p>
      <Snippet title={t("firstrun.demo.title")} text="hotspan demo" />
    </div>
  );
}

const SNIPPETS: Record<Sender, (grpc: string) => string> = {
  sdk: (grpc) =>
    [
      `export OTEL_EXPORTER_OTLP_ENDPOINT=http://${grpc}`,
      "export OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
      "export OTEL_SERVICE_NAME=my-service",
    ].join("\n"),
  java: (grpc) =>
    [
      "java -javaagent:opentelemetry-javaagent.jar \\",
      "  -Dotel.service.name=my-service \\",
      "  -Dotel.exporter.otlp.protocol=grpc \\",
      `  -Dotel.exporter.otlp.endpoint=http://${grpc} \\`,
      "  -jar app.jar",
    ].join("\n"),
  collector: (grpc) =>
    [
      "exporters:",
      "  otlp/hotspan:",
      `    endpoint: ${grpc}`,
      "    tls: { insecure: true }",
      "service:",
      "  pipelines:",
      "    traces: { receivers: [otlp], exporters: [otlp/hotspan] }",
      "    metrics: { receivers: [otlp], exporters: [otlp/hotspan] }",
      "    logs: { receivers: [otlp], exporters: [otlp/hotspan] }",
    ].join("\n"),
};
