{{/*
Names. Nothing here may be longer than 63 signs, and what is cut ends in a digest, so that no two long names become one.
*/}}

{{- define "anteroom.version" -}}
0.1.0
{{- end }}

{{- /* A name that is cut where it is too long for what will be put behind it: dict "name" "most". */ -}}
{{- define "anteroom.cut" -}}
{{- $most := int .most -}}
{{- if gt (len .name) $most -}}
{{- printf "%s-%s" (.name | trunc (int (sub $most 9)) | trimSuffix "-" | trimSuffix ".") (sha256sum .name | trunc 8) -}}
{{- else -}}
{{- .name | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- /* The name of what the chart makes: the release's, with the chart's where it is not in there. */ -}}
{{- define "anteroom.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- include "anteroom.cut" (dict "name" (default $name .Values.fullnameOverride) "most" 42) -}}
{{- end }}

{{- /* The name of an object of the sidecar: the chart's with `anteroom` in it. */ -}}
{{- define "anteroom.base" -}}
{{- $full := include "anteroom.fullname" . -}}
{{- ternary $full (printf "%s-anteroom" $full) (contains "anteroom" $full) -}}
{{- end }}

{{- define "anteroom.configMapName" -}}
{{- default (printf "%s-config" (include "anteroom.base" .)) .Values.anteroom.existingConfigMap -}}
{{- end }}

{{- define "anteroom.policiesName" -}}
{{- default (printf "%s-policies" (include "anteroom.base" .)) .Values.anteroom.existingPolicies -}}
{{- end }}

{{- define "anteroom.tlsSecretName" -}}
{{- if eq .Values.anteroom.tls.source "certManager" -}}
{{- printf "%s-tls" (include "anteroom.base" .) -}}
{{- else -}}
{{- required "anteroom.tls.secret: name the Secret with tls.crt and tls.key" .Values.anteroom.tls.secret -}}
{{- end -}}
{{- end }}

{{- define "anteroom.image" -}}
{{- $image := .Values.anteroom.image -}}
{{- $repository := required "anteroom.image.repository: name the repository that you pushed the image to" $image.repository -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (include "anteroom.version" .) $image.tag) -}}
{{- end -}}
{{- end }}

{{- define "anteroom.objectLabels" -}}
app.kubernetes.io/name: {{ include "anteroom.cut" (dict "name" (default .Chart.Name .Values.nameOverride) "most" 63) }}
app.kubernetes.io/instance: {{ include "anteroom.cut" (dict "name" .Release.Name "most" 63) }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ include "anteroom.version" . | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}
