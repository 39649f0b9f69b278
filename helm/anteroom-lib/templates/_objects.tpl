{{/*
The objects beside the pod: one `include` in a file of its own makes all that the values ask for.
*/}}

{{- define "anteroom.objects" -}}
{{- include "anteroom.checks" . -}}
{{- $own := .Values.anteroom -}}
{{- if not $own.existingConfigMap }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "anteroom.configMapName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "anteroom.objectLabels" . | nindent 4 }}
data:
  config.yaml: |
    {{- include "anteroom.config" . | nindent 4 }}
{{- end }}
{{- if not $own.existingPolicies }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "anteroom.policiesName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "anteroom.objectLabels" . | nindent 4 }}
data:
  {{- range $file, $policy := $own.policies }}
  {{ $file }}: |
    {{- toYaml $policy | nindent 4 }}
  {{- end }}
{{- end }}
{{- if eq $own.tls.source "certManager" }}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ include "anteroom.tlsSecretName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "anteroom.objectLabels" . | nindent 4 }}
spec:
  secretName: {{ include "anteroom.tlsSecretName" . }}
  issuerRef:
    {{- toYaml $own.tls.certManager.issuerRef | nindent 4 }}
  dnsNames: {{ splitList "," (include "anteroom.names" .) | toJson }}
  duration: {{ $own.tls.certManager.duration }}
  renewBefore: {{ $own.tls.certManager.renewBefore }}
  usages: [server auth]
  privateKey: { algorithm: ECDSA, size: 256, encoding: PKCS8, rotationPolicy: Always }
{{- end }}
{{- end }}
