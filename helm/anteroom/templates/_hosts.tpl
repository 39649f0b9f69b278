{{- /* The public names without ports, for what stands in front. */ -}}
{{- define "app.hosts" -}}
{{- $hosts := list -}}
{{- range dig "app" "hosts" list .Values.anteroom.config -}}
{{- $hosts = append $hosts (regexReplaceAll ":[0-9]+$" . "") -}}
{{- end -}}
{{- if not $hosts -}}
{{- fail "ingress and gateway: the names are those of anteroom.config.app.hosts, which is empty; with a ConfigMap of yours write the route yourself" -}}
{{- end -}}
{{- $hosts | uniq | toJson -}}
{{- end }}
