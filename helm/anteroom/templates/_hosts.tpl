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

{{- /* For ingress-nginx what docs/in-front.md says, which a test compares: its own defaults speak plain HTTP to the gate. */ -}}
{{- define "app.ingressAnnotations" -}}
{{- $nginx := "nginx.ingress.kubernetes.io/" -}}
{{- $annotations := dict -}}
{{- if eq .Values.ingress.className "nginx" -}}
{{- $_ := set $annotations (print $nginx "backend-protocol") "HTTPS" -}}
{{- $_ := set $annotations (print $nginx "proxy-ssl-protocols") "TLSv1.3" -}}
{{- $_ := set $annotations (print $nginx "proxy-ssl-name") (include "app.hosts" . | fromJsonArray | first) -}}
{{- $_ := set $annotations (print $nginx "proxy-ssl-server-name") "off" -}}
{{- $_ := set $annotations (print $nginx "proxy-request-buffering") "off" -}}
{{- $_ := set $annotations (print $nginx "proxy-body-size") "0" -}}
{{- $_ := set $annotations (print $nginx "proxy-read-timeout") "80" -}}
{{- if hasKey .Values.ingress.annotations (print $nginx "proxy-ssl-secret") -}}
{{- $_ := set $annotations (print $nginx "proxy-ssl-verify") "on" -}}
{{- end -}}
{{- end -}}
{{- include "anteroom.overlay" (dict "onto" $annotations "over" .Values.ingress.annotations) -}}
{{- toYaml $annotations -}}
{{- end }}
