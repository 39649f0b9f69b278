{{/* What is this chart's own; the sidecar is all of anteroom-lib. */}}

{{- define "app.selector" -}}
app.kubernetes.io/name: {{ include "anteroom.cut" (dict "name" (default .Chart.Name .Values.nameOverride) "most" 63) }}
app.kubernetes.io/instance: {{ include "anteroom.cut" (dict "name" .Release.Name "most" 63) }}
app.kubernetes.io/component: gate
{{- end }}

{{- define "app.metadata" -}}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "anteroom.objectLabels" . | nindent 2 }}
{{- end }}

{{- define "app.image" -}}
{{- $image := .Values.app.image -}}
{{- if and .Values.app.demo $image.repository -}}
{{- fail "app.demo and app.image.repository: the sample clinic, or an image of yours" -}}
{{- end -}}
{{- if .Values.app.demo -}}
{{- include "anteroom.image" . -}}
{{- else -}}
{{- $repository := required "app.image.repository: name your application's image, or set app.demo for the sample clinic" $image.repository -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (required "app.image.tag: say which, or give app.image.digest" $image.tag) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "app.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "anteroom.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- /* A probe of the application in the form that a pod has: what the kubelet cannot ask on loopback, the gate asks. */ -}}
{{- define "app.probe" -}}
{{- $word := get (dict "startup" "startupz" "readiness" "readyz" "liveness" "livez") .kind -}}
{{- $probe := omit .probe "httpGet" "tcpSocket" "grpc" -}}
{{- if not (hasKey .probe "exec") -}}
{{- $path := printf "/app-health/app/%s" $word -}}
{{- /* By number: a name would be looked up among the ports of the application's own container. */ -}}
{{- $_ := set $probe "httpGet" (dict "path" $path "port" 9900) -}}
{{- if not (hasKey $probe "timeoutSeconds") -}}
{{- $_ := set $probe "timeoutSeconds" 2 -}}
{{- end -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end }}

{{- /* Gives the sidecar the application's probes, in the form that it serves them by. */ -}}
{{- define "app.prepare" -}}
{{- $recorded := dict -}}
{{- range $kind, $probe := .Values.app.probes -}}
{{- if not (hasKey $probe "exec") -}}
{{- $word := get (dict "startup" "startupz" "readiness" "readyz" "liveness" "livez") $kind -}}
{{- $one := pick $probe "httpGet" "tcpSocket" "grpc" "timeoutSeconds" -}}
{{- if ne (len (omit $one "timeoutSeconds")) 1 -}}
{{- fail (printf "app.probes.%s: one of httpGet, tcpSocket, grpc and exec" $kind) -}}
{{- end -}}
{{- range omit $one "timeoutSeconds" -}}
{{- if not (or (kindIs "float64" .port) (kindIs "int64" .port) (kindIs "int" .port)) -}}
{{- fail (printf "app.probes.%s: give the port as a number" $kind) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $recorded $word $one -}}
{{- end -}}
{{- end -}}
{{- if $recorded -}}
{{- $_ := set .Values.anteroom.app.probes "app" $recorded -}}
{{- end -}}
{{- end }}

{{- /* What a pod cannot have twice, what is the sidecar's alone, and mounts of nothing: said here, not by a pod that never starts. */ -}}
{{- define "app.checks" -}}
{{- $volumes := list -}}
{{- range .Values.volumes -}}
{{- if hasPrefix "anteroom-" (default "" .name) -}}
{{- fail (printf "volumes: names that begin with `anteroom-` are the sidecar's: `%s`" .name) -}}
{{- end -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- range .Values.anteroom.extraVolumes -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- if .Values.app.tmp -}}
{{- $volumes = append $volumes "tmp" -}}
{{- end -}}
{{- if ne (len $volumes) (len (uniq $volumes)) -}}
{{- fail (printf "volumes: a name stands twice among %s" (join ", " $volumes)) -}}
{{- end -}}
{{- $names := list "app" "anteroom" -}}
{{- $all := list (dict "at" "app.volumeMounts" "one" (dict "volumeMounts" .Values.app.volumeMounts)) -}}
{{- range $at, $several := dict "extraContainers" .Values.extraContainers "extraInitContainers" .Values.extraInitContainers -}}
{{- range $several -}}
{{- $name := required (printf "%s: each has a name" $at) .name -}}
{{- if or (has $name $names) (hasPrefix "anteroom-" $name) -}}
{{- fail (printf "%s: the name `%s` is taken" $at $name) -}}
{{- end -}}
{{- $names = append $names $name -}}
{{- range .ports -}}
{{- if has (int .containerPort) (list 8443 9900) -}}
{{- fail (printf "%s: port %d of `%s` is a port of the gate" $at (int .containerPort) $name) -}}
{{- end -}}
{{- end -}}
{{- $all = append $all (dict "at" (printf "%s: `%s`" $at $name) "one" .) -}}
{{- end -}}
{{- end -}}
{{- range $all -}}
{{- $at := .at -}}
{{- range .one.volumeMounts -}}
{{- if hasPrefix "anteroom-" (default "" .name) -}}
{{- fail (printf "%s: the volume `%s` is the sidecar's alone" $at .name) -}}
{{- end -}}
{{- if not (has .name $volumes) -}}
{{- fail (printf "%s: there is no volume `%s` in `volumes`" $at .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "app.pod" -}}
{{- include "app.prepare" . -}}
{{- include "app.checks" . -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: app
    {{- include "anteroom.podAnnotations" . | nindent 4 }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "anteroom.objectLabels" . | nindent 4 }}
    app.kubernetes.io/component: gate
    {{- include "anteroom.podLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "app.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- $context := include "anteroom.podSecurityContext" . | fromYaml }}
    {{- include "anteroom.overlay" (dict "onto" $context "over" .Values.podSecurityContext) }}
    {{- toYaml $context | nindent 4 }}
  terminationGracePeriodSeconds: {{ include "anteroom.terminationGracePeriodSeconds" . }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- $first := include "anteroom.initContainers" . | trim }}
  {{- if or $first .Values.extraInitContainers }}
  initContainers:
    {{- with $first }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: app
      image: {{ include "app.image" . | quote }}
      imagePullPolicy: {{ ternary .Values.anteroom.image.pullPolicy .Values.app.image.pullPolicy .Values.app.demo }}
      {{- with .Values.app.command }}
      command: {{ toJson . }}
      {{- end }}
      {{- if .Values.app.demo }}
      args: [demo, app, --listen, "127.0.0.1:{{ int .Values.anteroom.app.port }}"]
      {{- else if .Values.app.args }}
      args: {{ toJson .Values.app.args }}
      {{- end }}
      {{- with .Values.app.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.app.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- range $kind, $probe := .Values.app.probes }}
      {{ $kind }}Probe:
        {{- include "app.probe" (dict "kind" $kind "probe" $probe) | nindent 8 }}
      {{- end }}
      lifecycle:
        {{- if .Values.app.lifecycle }}
        {{- toYaml .Values.app.lifecycle | nindent 8 }}
        {{- else }}
        {{- include "anteroom.appLifecycle" . | nindent 8 }}
        {{- end }}
      {{- with .Values.app.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.app.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or .Values.app.tmp .Values.app.volumeMounts }}
      volumeMounts:
        {{- if .Values.app.tmp }}
        - { name: tmp, mountPath: /tmp }
        {{- end }}
        {{- with .Values.app.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    {{- with include "anteroom.containers" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "anteroom.volumes" . | nindent 4 }}
    {{- if .Values.app.tmp }}
    - name: tmp
      emptyDir: { sizeLimit: {{ .Values.app.tmp }} }
    {{- end }}
    {{- with .Values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if gt (int .Values.replicas) 1 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "app.selector" . | nindent 10 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
