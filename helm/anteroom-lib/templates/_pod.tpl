{{/*
The pod's parts. A chart of yours includes `anteroom.initContainers`, `anteroom.volumes` and, as a Service's targetPort,
`anteroom.servicePort`; the rest is for charts that want more.
*/}}

{{- /* Before the application, in this order: what a trial makes, and the native sidecar. */ -}}
{{- define "anteroom.initContainers" -}}
{{- include "anteroom.checks" . -}}
{{- if eq .Values.anteroom.tls.source "selfSigned" -}}
- name: anteroom-trial-certificate
  args: {{ concat (list "dev" "certs" "--out" "/etc/anteroom/tls") (splitList "," (include "anteroom.names" .)) | toJson }}
  {{- include "anteroom.ours" . | nindent 2 }}
  volumeMounts:
    - { name: anteroom-tls, mountPath: /etc/anteroom/tls }
{{ end -}}
{{- with .Values.anteroom.keys.trial -}}
{{- if .enabled -}}
{{- $args := list "dev" "token" "--keys" "/etc/anteroom/keys" "--subject" .subject "--expires" .expires -}}
{{- range $name, $value := .claims -}}
{{- $args = concat $args (list "--claim" (printf "%s=%s" $name (toJson $value))) -}}
{{- end -}}
- name: anteroom-trial-token
  args: {{ $args | toJson }}
  {{- include "anteroom.ours" $ | nindent 2 }}
  volumeMounts:
    - { name: anteroom-keys, mountPath: /etc/anteroom/keys }
{{ end -}}
{{- end -}}
{{- if .Values.anteroom.redirect.enabled -}}
{{- $ports := list -}}
{{- range default (list .Values.anteroom.app.port) .Values.anteroom.redirect.ports -}}
{{- $ports = append $ports (int . | toString) -}}
{{- end -}}
- name: anteroom-redirect
  args: [redirect, --ports, {{ join "," $ports | quote }}, --to, "8443"]
  image: {{ include "anteroom.image" . | quote }}
  imagePullPolicy: {{ .Values.anteroom.image.pullPolicy }}
  resources:
    {{- toYaml .Values.anteroom.resources | nindent 4 }}
  securityContext:
    runAsUser: 0 # rules are the superuser's to write; the container has ended before the application starts
    runAsNonRoot: false
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL], add: [NET_ADMIN] }
    seccompProfile: { type: RuntimeDefault }
  terminationMessagePolicy: FallbackToLogsOnError
{{ end -}}
{{- if eq .Values.anteroom.mode "native" -}}
{{- include "anteroom.container" . -}}
{{- end -}}
{{- end }}

{{- /* Beside the application, where the sidecar is not a native one. */ -}}
{{- define "anteroom.containers" -}}
{{- if eq .Values.anteroom.mode "container" -}}
{{- include "anteroom.container" . -}}
{{- end -}}
{{- end }}

{{- /* What every container of the image has in common. */ -}}
{{- define "anteroom.ours" -}}
image: {{ include "anteroom.image" . | quote }}
imagePullPolicy: {{ .Values.anteroom.image.pullPolicy }}
resources:
  {{- toYaml .Values.anteroom.resources | nindent 2 }}
securityContext:
  {{- include "anteroom.securityContext" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{- define "anteroom.securityContext" -}}
runAsNonRoot: true
{{- with .Values.anteroom.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
{{- end }}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "anteroom.container" -}}
- name: anteroom
  {{- if eq .Values.anteroom.mode "native" }}
  restartPolicy: Always
  {{- end }}
  args: [run, --config, /etc/anteroom/config/config.yaml]
  {{- include "anteroom.ours" . | nindent 2 }}
  ports:
    - { name: anteroom, containerPort: 8443, protocol: TCP }
    - { name: anteroom-health, containerPort: 9900, protocol: TCP }
  env:
    - name: ANTEROOM_POD_IPS
      valueFrom: { fieldRef: { fieldPath: status.podIPs } }
    {{- with .Values.anteroom.app.probes }}
    - name: ANTEROOM_APP_PROBES
      value: {{ toJson . | quote }}
    {{- end }}
    {{- with .Values.anteroom.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  startupProbe:
    httpGet: { path: /startedz, port: anteroom-health }
    periodSeconds: 1
    failureThreshold: 120
  readinessProbe:
    httpGet: { path: /readyz, port: anteroom-health }
    periodSeconds: 2
    failureThreshold: 2
  livenessProbe:
    httpGet: { path: /livez, port: anteroom-health }
    periodSeconds: 10
    failureThreshold: 6
  lifecycle:
    preStop:
      exec: { command: [/anteroom, drain] }
  volumeMounts:
    - { name: anteroom-config, mountPath: /etc/anteroom/config, readOnly: true }
    - { name: anteroom-policies, mountPath: /etc/anteroom/policies, readOnly: true }
    - { name: anteroom-tls, mountPath: /etc/anteroom/tls, readOnly: true }
    {{- if or .Values.anteroom.keys.secret .Values.anteroom.keys.trial.enabled }}
    - { name: anteroom-keys, mountPath: /etc/anteroom/keys, readOnly: true }
    {{- end }}
    {{- if or .Values.anteroom.lists.configMap .Values.anteroom.lists.secret }}
    - { name: anteroom-lists, mountPath: /etc/anteroom/lists, readOnly: true }
    {{- end }}
    - { name: anteroom-run, mountPath: /run/anteroom }
    - { name: anteroom-audit, mountPath: /var/lib/anteroom/audit }
    {{- with .Values.anteroom.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{ end }}

{{- /*
Whole folders, never `subPath`: only those follow a change. The Secrets are readable by every user of the container that mounts
them, which is the sidecar alone: a pod without an `fsGroup` would leave them to root.
*/ -}}
{{- define "anteroom.volumes" -}}
{{- $own := .Values.anteroom -}}
{{- if and (eq $own.audit.storage "perPod") (not $own.audit.inTemplates) -}}
{{- fail "anteroom.audit.storage: `perPod` is for a StatefulSet: include `anteroom.volumeClaimTemplates` in it, above its template" -}}
{{- end -}}
- name: anteroom-config
  configMap: { name: {{ include "anteroom.configMapName" . }}, optional: false }
- name: anteroom-policies
  configMap: { name: {{ include "anteroom.policiesName" . }}, optional: false }
- name: anteroom-tls
  {{- if has $own.tls.source (list "secret" "certManager") }}
  secret: { secretName: {{ include "anteroom.tlsSecretName" . }}, defaultMode: 0444, optional: false }
  {{- else if eq $own.tls.source "csi" }}
  csi:
    driver: {{ $own.tls.csi.driver }}
    readOnly: true
    volumeAttributes:
      {{- include "anteroom.csiAttributes" . | nindent 6 }}
  {{- else }}
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
  {{- end }}
{{- if $own.keys.secret }}
- name: anteroom-keys
  secret: { secretName: {{ $own.keys.secret }}, defaultMode: 0444, optional: false }
{{- else if $own.keys.trial.enabled }}
- name: anteroom-keys
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- end }}
{{- if $own.lists.configMap }}
- name: anteroom-lists
  configMap: { name: {{ $own.lists.configMap }}, optional: false }
{{- else if $own.lists.secret }}
- name: anteroom-lists
  secret: { secretName: {{ $own.lists.secret }}, defaultMode: 0444, optional: false }
{{- end }}
- name: anteroom-run
  emptyDir: { medium: Memory, sizeLimit: 8Mi }
{{- if eq $own.audit.storage "emptyDir" }}
- name: anteroom-audit
  emptyDir: { sizeLimit: {{ include "anteroom.auditVolumeSize" . }} }
{{- else if eq $own.audit.storage "claim" }}
- name: anteroom-audit
  persistentVolumeClaim: { claimName: {{ $own.audit.claim }} }
{{- end }}
{{- with $own.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "anteroom.csiAttributes" -}}
{{- $csi := .Values.anteroom.tls.csi -}}
{{- $attributes := dict -}}
{{- if eq $csi.driver "csi.cert-manager.io" -}}
{{- $_ := set $attributes "csi.cert-manager.io/dns-names" (include "anteroom.names" .) -}}
{{- $_ := set $attributes "csi.cert-manager.io/key-encoding" "PKCS8" -}}
{{- end -}}
{{- with .Values.anteroom.runAsUser -}}
{{- $_ := set $attributes (printf "%s/fs-group" $csi.driver) (printf "%d" (int64 .)) -}}
{{- end -}}
{{- include "anteroom.overlay" (dict "onto" $attributes "over" $csi.attributes) -}}
{{- toYaml $attributes -}}
{{- end }}

{{- /* For a StatefulSet with `audit.storage: perPod`, above its template: `anteroom.volumes` looks whether this was there. */ -}}
{{- define "anteroom.volumeClaimTemplates" -}}
{{- if eq .Values.anteroom.audit.storage "perPod" -}}
{{- $_ := set .Values.anteroom.audit "inTemplates" true -}}
- metadata: { name: anteroom-audit }
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .Values.anteroom.audit.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources: { requests: { storage: {{ include "anteroom.auditVolumeSize" . }} } }
{{- end -}}
{{- end }}

{{- /* The targetPort of the application's Service. A number: before Kubernetes 1.33 names of ports of native sidecars are not found. */ -}}
{{- define "anteroom.servicePort" -}}
8443
{{- end }}

{{- define "anteroom.podAnnotations" -}}
anteroom.dev/injected: {{ include "anteroom.version" . | quote }}
{{- if not .Values.anteroom.existingConfigMap }}
anteroom.dev/config-hash: {{ include "anteroom.configHash" . | quote }}
{{- end }}
{{- end }}

{{- /* The sidecar is there: an injector need not add it. */ -}}
{{- define "anteroom.podLabels" -}}
anteroom.dev/inject: "false"
{{- end }}

{{- /* Lets the sidecar write its record on a claim; any `fsGroup` that the pod has already does the same. */ -}}
{{- define "anteroom.podSecurityContext" -}}
{{- with .Values.anteroom.runAsUser -}}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{ end -}}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- /* For the application's container: it goes on serving until every load balancer has heard that the pod leaves. */ -}}
{{- define "anteroom.appLifecycle" -}}
preStop:
  sleep: { seconds: 10 }
{{- end }}
