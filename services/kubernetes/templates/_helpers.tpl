{{- define "ipfleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the Pods of a component. Takes (list $ "lookup"). */}}
{{- define "ipfleet.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes (list $ "lookup"). */}}
{{- define "ipfleet.labels" -}}
{{ include "ipfleet.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name ((index . 0).Chart.Version | replace "+" "_") }}
{{- end -}}

{{/*
The head of an object. Takes (list $ "lookup" "-lookup"): the component, and what its name has behind that of the release.
*/}}
{{- define "ipfleet.metadata" -}}
name: {{ include "ipfleet.fullname" (index . 0) }}{{ index . 2 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "ipfleet.labels" . | nindent 2 }}
{{- end -}}

{{/* Puts the values of the second map into the first. Sprig's mergeOverwrite leaves out false and 0. */}}
{{- define "ipfleet.overlay" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- $under := get $base $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $under) -}}
{{- include "ipfleet.overlay" (list $under $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The values of a service, as YAML: the defaults under its own. Takes (list $ "lookup"). */}}
{{- define "ipfleet.values" -}}
{{- $values := deepCopy (index . 0).Values.defaults -}}
{{- include "ipfleet.overlay" (list $values (deepCopy (index (index . 0).Values (index . 1)))) -}}
{{- toYaml $values -}}
{{- end -}}

{{/* A setting as text. Helm reads whole numbers as floating ones, which it would write as 1e+06. */}}
{{- define "ipfleet.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* Whether the Redis for trials is installed: "true" or nothing. */}}
{{- define "ipfleet.ownRedis" -}}
{{- if not (or .Values.redis.url .Values.redis.existingSecret) }}true{{ end -}}
{{- end -}}

{{- define "ipfleet.redisUrl" -}}
{{- if contains "@" (print .Values.redis.url .Values.redis.cacheUrl) -}}
{{- fail "redis.url: put user and password into defaults.settings.REDIS_USERNAME and the key REDIS_PASSWORD of redis.existingSecret, or the whole URL into its key REDIS_URL" -}}
{{- end -}}
{{- if include "ipfleet.ownRedis" . -}}
redis://{{ include "ipfleet.fullname" . }}-redis:6379
{{- else -}}
{{- .Values.redis.url -}}
{{- end -}}
{{- end -}}

{{/* host:port, also where the host is an IPv6 address. Takes (list $ 8080). */}}
{{- define "ipfleet.listen" -}}
{{- $host := (index . 0).Values.listenHost -}}
{{- if contains ":" $host -}}[{{ $host }}]{{- else -}}{{ $host }}{{- end -}}:{{ index . 1 }}
{{- end -}}
