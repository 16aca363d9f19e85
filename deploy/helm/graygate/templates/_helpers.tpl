{{- define "graygate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Services take fewer names than releases do: they begin with a letter and have no dots. */}}
{{- define "graygate.fullname" -}}
{{- $name := .Values.fullnameOverride }}
{{- if not $name }}
{{- $part := include "graygate.name" . }}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name $part) (contains $part .Release.Name) }}
{{- end }}
{{- $name = $name | trunc 40 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "no service can be named %s; set fullnameOverride to a name of lower case letters, digits and -, with a letter first" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "graygate.selector" -}}
app.kubernetes.io/name: {{ include "graygate.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "graygate.labels" -}}
{{ include "graygate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "graygate.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "graygate.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "graygate.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "graygate.secret" -}}
{{- default (include "graygate.fullname" .) .Values.secrets.existingSecret }}
{{- end }}

{{- define "graygate.adminScheme" -}}
{{- ternary "https" "http" (ne .Values.adminTls.secret "") }}
{{- end }}

{{/* The name that a certificate of the admin port must bear. */}}
{{- define "graygate.adminName" -}}
{{- printf "%s-admin.%s.svc" (include "graygate.fullname" .) .Release.Namespace }}
{{- end }}

{{/* The store's URL, out of what the values say of it. */}}
{{- define "graygate.redisUrl" -}}
{{- $sentinel := .Values.redis.sentinel }}
{{- if and .Values.redis.url $sentinel.nodes }}
{{- fail "redis.url and redis.sentinel.nodes are both set; keep one of them" }}
{{- else if $sentinel.nodes }}
{{- if .Values.redis.cluster }}
{{- fail "redis.cluster and redis.sentinel.nodes are both set; a Cluster has no Sentinels" }}
{{- end }}
{{- printf "redis+sentinel://%s/%s/%d" (join "," $sentinel.nodes) $sentinel.service (int $sentinel.database) }}
{{- else }}
{{- required "redis.url or redis.sentinel.nodes must name the store" .Values.redis.url }}
{{- end }}
{{- end }}

{{/* What the chart sets by itself, as a JSON object of sections; what `settings` says goes on top. */}}
{{- define "graygate.settings" -}}
{{- $service := printf "%s-admin" (include "graygate.fullname" .) }}
{{- $names := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) (printf "%s.%s.svc.cluster.local" $service .Release.Namespace) }}
{{- $redis := dict "url" (include "graygate.redisUrl" .) }}
{{- $prefix := default (ternary "{gray}:" "" .Values.redis.cluster) .Values.redis.prefix }}
{{- with $prefix }}{{ $_ := set $redis "prefix" . }}{{ end }}
{{- with .Values.redis.username }}{{ $_ := set $redis "username" . }}{{ end }}
{{- with .Values.redis.sentinelUsername }}{{ $_ := set $redis "sentinel_username" . }}{{ end }}
{{- if .Values.redis.tlsSecret }}{{ $_ := set $redis "tls_ca" "/etc/graygate/redis/ca.crt" }}{{ end }}
{{- if .Values.redis.tlsClient }}
{{- $_ := set $redis "tls_cert" "/etc/graygate/redis/tls.crt" }}
{{- $_ := set $redis "tls_key" "/etc/graygate/redis/tls.key" }}
{{- end }}
{{- $listen := dict "host" "0.0.0.0" "port" 8080 }}
{{- if .Values.tls.secret }}
{{- $_ := set $listen "tls_cert" "/etc/graygate/tls/tls.crt" }}
{{- $_ := set $listen "tls_key" "/etc/graygate/tls/tls.key" }}
{{- end }}
{{- $admin := dict "host" "0.0.0.0" "port" 8081 "hosts" (concat $names .Values.adminService.hosts) }}
{{- if .Values.adminTls.secret }}
{{- $_ := set $admin "tls_cert" "/etc/graygate/admin-tls/tls.crt" }}
{{- $_ := set $admin "tls_key" "/etc/graygate/admin-tls/tls.key" }}
{{- end }}
{{- $own := dict "listen" $listen "admin" $admin "redis" $redis "process" (dict "state_dir" "/var/lib/graygate/state") }}
{{- mergeOverwrite $own (deepCopy .Values.settings) | toJson }}
{{- end }}

{{/* JSON writes texts, numbers and lists as TOML does; toToml would turn 8080 into 8080.0. */}}
{{- define "graygate.tomlKeys" -}}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }} = {{ $value | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{- define "graygate.toml" -}}
{{- range $section, $settings := include "graygate.settings" . | fromJson }}
{{- if kindIs "slice" $settings }}
{{- range $settings }}
[[{{ $section }}]]
{{- include "graygate.tomlKeys" . }}
{{ end }}
{{- else }}
[{{ $section }}]
{{- include "graygate.tomlKeys" $settings }}
{{ end }}
{{- end }}
{{- end }}

{{/* File in the secret -> the variable that names it; others are named in the settings. */}}
{{- define "graygate.secretVariables" -}}
admin-token: GRAYGATE_ADMIN__TOKEN_FILE
redis-password: GRAYGATE_REDIS__PASSWORD_FILE
redis-sentinel-password: GRAYGATE_REDIS__SENTINEL_PASSWORD_FILE
override-key: GRAYGATE_ROUTING__OVERRIDE_KEY_FILE
jwt-key: GRAYGATE_ROUTING__JWT_KEY_FILE
units-key: GRAYGATE_ACCESS_LOG__UNITS_KEY_FILE
{{- end }}

{{/* What the chart's own secret holds, as JSON; an empty admin token is made, once: all who ask
     while the chart is rendered get the same. */}}
{{- define "graygate.secretData" -}}
{{- $values := .Values.secrets }}
{{- $there := lookup "v1" "Secret" .Release.Namespace (include "graygate.fullname" .) }}
{{- $token := $values.adminToken }}
{{- if not $token }}
{{- $token = dig "data" "admin-token" "" $there | b64dec | default (randAlphaNum 48) }}
{{- $_ := set $values "adminToken" $token }}
{{- end }}
{{- $all := dict "admin-token" $token "redis-password" $values.redisPassword "redis-sentinel-password" $values.redisSentinelPassword "override-key" $values.overrideKey "jwt-key" $values.jwtKey "units-key" $values.unitsKey }}
{{- $held := deepCopy $values.files }}
{{- range $key, $value := $all }}{{ if $value }}{{ $_ := set $held $key $value }}{{ end }}{{ end }}
{{- $held | toJson }}
{{- end }}

{{/* The names of the files in the secret, as JSON. */}}
{{- define "graygate.secretKeys" -}}
{{- if .Values.secrets.existingSecret }}
{{- dict "keys" .Values.secrets.keys | toJson }}
{{- else }}
{{- dict "keys" (include "graygate.secretData" . | fromJson | keys | sortAlpha) | toJson }}
{{- end }}
{{- end }}
