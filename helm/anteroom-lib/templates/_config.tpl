{{/*
The configuration: what the values say, laid over what the chart decides. Nothing here looks into the cluster, so rendering
twice gives the same bytes.
*/}}

{{- /* Lays the map `over` onto the map `onto`, key by key. `merge` would take `false`, 0 and "" for nothing. */ -}}
{{- define "anteroom.overlay" -}}
{{- $onto := .onto -}}
{{- range $key, $value := .over -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $onto $key)) -}}
{{- include "anteroom.overlay" (dict "onto" (get $onto $key) "over" $value) -}}
{{- else -}}
{{- $_ := set $onto $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "anteroom.config" -}}
{{- $audit := dict "directory" "/var/lib/anteroom/audit" "size" .Values.anteroom.audit.size -}}
{{- $config := dict "apiVersion" "anteroom.dev/v1" "kind" "Config" -}}
{{- $_ := set $config "app" (dict "url" (printf "http://127.0.0.1:%d" (int .Values.anteroom.app.port))) -}}
{{- $_ := set $config "listen" (dict "https" "[::]:8443" "health" "[::]:9900" "control" "unix:/run/anteroom/control.sock") -}}
{{- $_ := set $config "tls" (dict "certificates" (list (dict "directory" "/etc/anteroom/tls"))) -}}
{{- $_ := set $config "policies" "/etc/anteroom/policies" -}}
{{- $_ := set $config "audit" $audit -}}
{{- /* Beside the record: what is known of sessions has to last as long, and is as much this one process' own. */ -}}
{{- if kindIs "map" .Values.anteroom.config.session -}}
{{- $_ := set $config "session" (dict "state" "/var/lib/anteroom/audit/sessions") -}}
{{- end -}}
{{- include "anteroom.overlay" (dict "onto" $config "over" .Values.anteroom.config) -}}
{{- toYaml $config -}}
{{- end }}

{{- /* What a running gate cannot change: a new value of it needs a new pod, whatever `rollout` says. */ -}}
{{- define "anteroom.fixedHash" -}}
{{- $config := include "anteroom.config" . | fromYaml -}}
{{- $fixed := pick $config "listen" "workers" "audit" -}}
{{- $_ := set $fixed "level" (dig "log" "level" "" $config) -}}
{{- $_ := set $fixed "telemetry" (hasKey $config "telemetry") -}}
{{- with dig "state" "" (default dict $config.session) -}}
{{- $_ := set $fixed "state" . -}}
{{- end -}}
{{- toYaml $fixed | sha256sum | trunc 16 -}}
{{- end }}

{{- define "anteroom.configHash" -}}
{{- if eq .Values.anteroom.rollout "restart" -}}
{{- printf "%s\n%s" (include "anteroom.config" .) (toYaml .Values.anteroom.policies) | sha256sum | trunc 16 -}}
{{- else -}}
{{- include "anteroom.fixedHash" . -}}
{{- end -}}
{{- end }}

{{- /* `90s`, `2m` or `1h` in seconds. */ -}}
{{- define "anteroom.seconds" -}}
{{- if not (regexMatch "^[0-9]+[smh]$" .) -}}
{{- fail (printf "drain.deadline: `%s` is not a number and s, m or h" .) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600) (regexFind "[smh]$" .)) -}}
{{- end }}

{{- /* How long a pod may take to leave: the application's sleep, the gate's drain, and some seconds to spare. */ -}}
{{- define "anteroom.terminationGracePeriodSeconds" -}}
{{- add 15 (include "anteroom.seconds" (dig "drain" "deadline" "25s" .Values.anteroom.config)) -}}
{{- end }}

{{- /* The size of the record's volume, in Mi: a tenth and 64 MiB more than the record, in which what is known of sessions has its place. */ -}}
{{- define "anteroom.auditVolumeSize" -}}
{{- $size := dig "audit" "size" .Values.anteroom.audit.size .Values.anteroom.config -}}
{{- if not (regexMatch "^[1-9][0-9]*(MiB|GiB|TiB)$" $size) -}}
{{- fail (printf "config.audit.size: `%s`: in the chart it is a number and MiB, GiB or TiB" $size) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" $size | int64 -}}
{{- $mebibytes := mul $number (get (dict "M" 1 "G" 1024 "T" 1048576) (regexFind "[MGT]" $size)) -}}
{{- printf "%dMi" (add 64 (div (mul $mebibytes 11) 10)) -}}
{{- end }}

{{- /* What cannot work is refused while it is still a text. `replicas`, `replicaCount` and `autoscaling` are of the chart around. */ -}}
{{- define "anteroom.checks" -}}
{{- if not (hasKey .Values "anteroom") -}}
{{- fail "depend on anteroom-lib with `alias: anteroom`: its defaults and its schema come with that name" -}}
{{- end -}}
{{- $own := .Values.anteroom -}}
{{- if not (hasKey $own "rollout") -}}
{{- fail "depend on anteroom-lib with `alias: anteroom`: its defaults and its schema come with that name" -}}
{{- end -}}
{{- if and $own.config $own.existingConfigMap -}}
{{- fail "anteroom.config and anteroom.existingConfigMap: say one of the two" -}}
{{- end -}}
{{- if not (or $own.config $own.existingConfigMap) -}}
{{- fail "anteroom.config: write the gate's configuration, or name a ConfigMap in anteroom.existingConfigMap" -}}
{{- end -}}
{{- if and $own.policies $own.existingPolicies -}}
{{- fail "anteroom.policies and anteroom.existingPolicies: say one of the two" -}}
{{- end -}}
{{- if not (or $own.policies $own.existingPolicies) -}}
{{- fail "anteroom.policies: write who may do what, or name a ConfigMap in anteroom.existingPolicies; without a rule everything is closed" -}}
{{- end -}}
{{- if and (eq $own.rollout "restart") (or $own.existingConfigMap $own.existingPolicies) -}}
{{- fail "anteroom.rollout: `restart` needs configuration and policies in the values; nobody here sees a ConfigMap of yours change" -}}
{{- end -}}
{{- if and (eq $own.tls.source "certManager") (not (dig "name" "" (default dict $own.tls.certManager.issuerRef))) -}}
{{- fail "anteroom.tls.certManager.issuerRef.name: name the issuer that signs" -}}
{{- end -}}
{{- if and (eq $own.tls.source "csi") (eq $own.tls.csi.driver "csi.cert-manager.io") (not (hasKey $own.tls.csi.attributes "csi.cert-manager.io/issuer-name")) -}}
{{- fail "anteroom.tls.csi.attributes: say `csi.cert-manager.io/issuer-name`" -}}
{{- end -}}
{{- if and $own.lists.configMap $own.lists.secret -}}
{{- fail "anteroom.lists: a ConfigMap or a Secret, not both" -}}
{{- end -}}
{{- if and $own.keys.secret $own.keys.trial.enabled -}}
{{- fail "anteroom.keys: a Secret or the keys of a trial, not both" -}}
{{- end -}}
{{- if and (eq $own.audit.storage "claim") (not $own.audit.claim) -}}
{{- fail "anteroom.audit.claim: name the PersistentVolumeClaim" -}}
{{- end -}}
{{- if and (ne $own.tls.source "secret") $own.existingConfigMap (not (include "anteroom.names" .)) -}}
{{- fail "anteroom.tls: with a ConfigMap of yours, say for which names the certificate is" -}}
{{- end -}}
{{- include "anteroom.portChecks" . -}}
{{- include "anteroom.folderChecks" . -}}
{{- $replicas := int (include "anteroom.mostReplicas" .) -}}
{{- if and (gt $replicas 1) (eq $own.audit.storage "claim") -}}
{{- fail "replicas: one process writes to one record; with several pods let anteroom.audit.storage be `perPod` or `emptyDir`" -}}
{{- end -}}
{{- if and (gt $replicas 1) (eq $own.sessionsPerPod "refuse") (include "anteroom.speaksOfSessions" .) -}}
{{- fail (printf "replicas: %s speaks of sessions, and each pod knows those that it has seen: one replica, or anteroom.sessionsPerPod: accept (docs/kubernetes/operations.md says what that gives up)" (include "anteroom.speaksOfSessions" .)) -}}
{{- end -}}
{{- if and (gt $replicas 1) $own.keys.trial.enabled -}}
{{- fail "replicas: each pod of a trial makes a key of its own, and knows no token of the others; one replica" -}}
{{- end -}}
{{- end }}

{{- /* What of the values asks for sessions, which one pod keeps for itself; nothing where they do not. */ -}}
{{- define "anteroom.speaksOfSessions" -}}
{{- $config := .Values.anteroom.config -}}
{{- $found := list -}}
{{- if kindIs "map" $config.session -}}
{{- $found = append $found "config.session" -}}
{{- end -}}
{{- if kindIs "map" (dig "app" "session" "" $config) -}}
{{- $found = append $found "config.app.session" -}}
{{- end -}}
{{- range $name, $provider := default dict $config.providers -}}
{{- if kindIs "map" (dig "login" "" (default dict $provider)) -}}
{{- $found = append $found (printf "config.providers.%s.login" $name) -}}
{{- end -}}
{{- end -}}
{{- range $file, $policy := .Values.anteroom.policies -}}
{{- range $part := list "roles" "routes" -}}
{{- range $name, $one := default dict (get (default dict $policy) $part) -}}
{{- if and (kindIs "map" $one) (kindIs "map" $one.session) (or (hasKey $one.session "idle") (hasKey $one.session "absolute")) -}}
{{- $found = append $found (printf "policies.%s: %s.%s.session" $file $part $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- first (append $found "") -}}
{{- end }}

{{- /* How many pods there may be, by the keys that charts commonly have for it. */ -}}
{{- define "anteroom.mostReplicas" -}}
{{- $most := max (int (default 1 .Values.replicas)) (int (default 1 .Values.replicaCount)) -}}
{{- $autoscaling := default dict .Values.autoscaling -}}
{{- if and (kindIs "map" $autoscaling) $autoscaling.enabled -}}
{{- $most = max $most (int (default 2 $autoscaling.maxReplicas)) -}}
{{- end -}}
{{- $most -}}
{{- end }}

{{- /* Where the application is, and what it is called: what the schema cannot say. */ -}}
{{- define "anteroom.portChecks" -}}
{{- $own := .Values.anteroom -}}
{{- if has (int $own.app.port) (list 8443 9900) -}}
{{- fail (printf "anteroom.app.port: %d is a port of the gate itself; let the application listen on another" (int $own.app.port)) -}}
{{- end -}}
{{- $url := dig "app" "url" "" $own.config -}}
{{- if and $url (not (regexMatch "^(http://(127\\.[0-9.]+|localhost|\\[::1\\]):[0-9]+/?|unix:/.+|https://.+)$" $url)) -}}
{{- fail (printf "anteroom.config.app.url: `%s`: http:// with a loopback address and a port, unix:/ and a path, or https://" $url) -}}
{{- end -}}
{{- if regexMatch "^https?://(127\\.[0-9.]+|localhost|\\[::1\\]):(8443|9900)/?$" $url -}}
{{- fail (printf "anteroom.config.app.url: `%s` is a port of the gate itself" $url) -}}
{{- end -}}
{{- range dig "app" "hosts" list $own.config -}}
{{- if not (regexMatch "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?$" .) -}}
{{- fail (printf "anteroom.config.app.hosts: `%s` is not a name such as clinic.example" .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Which folders for files beside the gate's own the configuration names, and whether something is mounted there. */ -}}
{{- define "anteroom.folderChecks" -}}
{{- $own := .Values.anteroom -}}
{{- $mounted := dict "keys" (or $own.keys.secret $own.keys.trial.enabled) "lists" (or $own.lists.configMap $own.lists.secret) -}}
{{- range $folder, $there := $mounted -}}
{{- range $own.extraVolumeMounts -}}
{{- $there = or $there (hasPrefix (printf "/etc/anteroom/%s" $folder) (default "" .mountPath)) -}}
{{- end -}}
{{- if and $own.config (not $there) (contains (printf "/etc/anteroom/%s/" $folder) (toYaml $own.config)) -}}
{{- fail (printf "anteroom.%s: the configuration names files below /etc/anteroom/%s; say which %s holds them" $folder $folder (get (dict "keys" "Secret" "lists" "ConfigMap or Secret") $folder)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The names that the certificate is for, separated by commas. */ -}}
{{- define "anteroom.names" -}}
{{- $hosts := list -}}
{{- range dig "app" "hosts" list .Values.anteroom.config -}}
{{- $hosts = append $hosts (regexReplaceAll ":[0-9]+$" . "") -}}
{{- end -}}
{{- $tls := .Values.anteroom.tls -}}
{{- if and (eq $tls.source "certManager") $tls.certManager.dnsNames -}}
{{- $hosts = $tls.certManager.dnsNames -}}
{{- else if and (eq $tls.source "selfSigned") $tls.selfSigned.names -}}
{{- $hosts = $tls.selfSigned.names -}}
{{- else if and (eq $tls.source "csi") (dig "attributes" (printf "%s/dns-names" $tls.csi.driver) "" $tls.csi) -}}
{{- $hosts = splitList "," (get $tls.csi.attributes (printf "%s/dns-names" $tls.csi.driver)) -}}
{{- else if and (eq $tls.source "csi") (eq $tls.csi.driver "spiffe.csi.cert-manager.io") -}}
{{- $hosts = list "spiffe" -}}
{{- else if and $hosts (eq $tls.source "selfSigned") -}}
{{- $hosts = append $hosts "localhost" | uniq -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end }}
