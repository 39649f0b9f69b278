{{- define "injector.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "injector.fullname" -}}
{{- $name := include "injector.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride -}}
{{- if gt (len $full) 42 -}}
{{- printf "%s-%s" ($full | trunc 33 | trimSuffix "-") (sha256sum $full | trunc 8) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end }}

{{- define "injector.selector" -}}
app.kubernetes.io/name: {{ include "injector.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "injector.labels" -}}
app.kubernetes.io/name: {{ include "injector.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "injector.metadata" -}}
name: {{ include "injector.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "injector.labels" . | nindent 2 }}
{{- end }}

{{- define "injector.image" -}}
{{- $repository := required "image.repository: name the repository that you pushed the image to" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- define "injector.sidecarImage" -}}
{{- default (include "injector.image" .) .Values.sidecar.image -}}
{{- end }}

{{- /* Whose images count as the sidecar. */ -}}
{{- define "injector.repository" -}}
{{- $image := include "injector.sidecarImage" . | splitList "@" | first -}}
{{- default (regexReplaceAll ":[^/:]*$" $image "") .Values.guard.repository -}}
{{- end }}

{{- define "injector.secret" -}}
{{- if eq .Values.certificate.source "existingSecret" -}}
{{- required "certificate.existingSecret: name the Secret with tls.crt and tls.key" .Values.certificate.existingSecret -}}
{{- else -}}
{{- printf "%s-tls" (include "injector.fullname" .) -}}
{{- end -}}
{{- end }}

{{- /* Cluster-wide objects of the webhook: two releases must not share one. */ -}}
{{- define "injector.clusterName" -}}
{{- $full := printf "%s-%s" .Release.Namespace (include "injector.fullname" .) -}}
{{- ternary (include "injector.fullname" .) $full (eq .Release.Namespace (include "injector.fullname" .)) -}}
{{- end }}

{{- define "injector.objectSelector" -}}
{{- if eq .Values.pods "labelled" -}}
matchLabels: { anteroom.dev/inject: "true" }
{{- else -}}
matchExpressions: [{ key: anteroom.dev/inject, operator: NotIn, values: ["false"] }]
{{- end -}}
{{- end }}

{{- /* The webhook sees every pod that says something: what is neither yes nor no is refused. */ -}}
{{- define "injector.webhookSelector" -}}
matchExpressions:
  {{- if eq .Values.pods "labelled" }}
  - { key: anteroom.dev/inject, operator: Exists }
  {{- end }}
  - { key: anteroom.dev/inject, operator: NotIn, values: ["false"] }
{{- end }}

{{- define "injector.namespaceSelector" -}}
matchLabels: { anteroom.dev/injection: enabled }
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{ append .Values.webhook.excludedNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{- define "injector.securityContext" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
{{- end }}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "injector.args" -}}
{{- if eq (int .Values.webhook.port) 9900 -}}
{{- fail "webhook.port: 9900 is the port of its own probes; take another" -}}
{{- end -}}
{{- $args := list "injector" "serve" (printf "--listen=[::]:%d" (int .Values.webhook.port)) "--health=[::]:9900" (printf "--log-level=%s" .Values.logLevel) -}}
{{- if eq .Values.certificate.source "self" -}}
{{- $args = concat $args (list "--self" (printf "--namespace=%s" .Release.Namespace) (printf "--secret=%s" (include "injector.secret" .)) (printf "--service=%s" (include "injector.fullname" .)) (printf "--webhook=%s" (include "injector.clusterName" .))) -}}
{{- else -}}
{{- $args = append $args "--tls=/etc/anteroom/tls" -}}
{{- end -}}
{{- $args = append $args "--settings=/etc/anteroom/settings/injection.yaml" -}}
{{- if eq .Values.pods "all" -}}{{- $args = append $args "--all" -}}{{- end -}}
{{- range $args }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- /* What is injected, as `anteroom inject --settings` takes it. */ -}}
{{- define "injector.settings" -}}
{{- $sidecar := .Values.sidecar -}}
apiVersion: anteroom.dev/v1
kind: Injection
image: {{ include "injector.sidecarImage" . | quote }}
mode: {{ $sidecar.mode }}
config: {{ $sidecar.config | quote }}
policies: {{ $sidecar.policies | quote }}
tls: {{ $sidecar.tlsSecret | quote }}
{{- with $sidecar.keysSecret }}
keys: {{ . | quote }}
{{- end }}
app:
  address: {{ $sidecar.appAddress }}
  sleep: {{ int $sidecar.appSleep }}s
drain: {{ int $sidecar.drain }}s
resources:
  cpu_request: {{ $sidecar.cpuRequest | quote }}
  memory_request: {{ $sidecar.memoryRequest | quote }}
  memory_limit: {{ $sidecar.memoryLimit | quote }}
audit_size: {{ $sidecar.auditSize | quote }}
user: {{ if $sidecar.runAsUser }}{{ int64 $sidecar.runAsUser }}{{ else }}cluster{{ end }}
{{- end }}
