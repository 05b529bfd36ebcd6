{{/* Names and labels. */}}

{{- define "hotspan.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hotspan.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hotspan.labels" -}}
{{ include "hotspan.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "hotspan.tokensSecret" -}}
{{- default (printf "%s-tokens" (include "hotspan.fullname" .)) .Values.tokens.existingSecret -}}
{{- end -}}

{{- define "hotspan.tokensKey" -}}
{{- if .Values.tokens.existingSecret -}}{{ .Values.tokens.key }}{{- else -}}tokens{{- end -}}
{{- end -}}
