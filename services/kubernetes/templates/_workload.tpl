{{/*
How the containers find each other: settings that no value overrides, as YAML. Takes (list $ "lookup" $pool).
*/}}
{{- define "ipfleet.wiring" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $pool := index . 2 -}}
{{- $redis := $root.Values.redis -}}
{{- with include "ipfleet.redisUrl" $root }}
REDIS_URL: {{ . }}
{{- end }}
{{- range $setting, $key := dict "REDIS_CA" $redis.ca "REDIS_CERT" $redis.cert "REDIS_KEY" $redis.key }}
{{- with $key }}
{{ $setting }}: /run/secrets/{{ . }}
{{- end }}
{{- end }}
{{- if eq $name "lookup" }}
HOST: {{ $root.Values.listenHost | quote }}
{{- with $redis.cacheUrl }}
REDIS_CACHE_URL: {{ . }}
{{- end }}
{{- else if eq $name "bulk" }}
HOST: {{ $root.Values.listenHost | quote }}
LOOKUP_URL: http://{{ include "ipfleet.fullname" $root }}-lookup:8080
{{- else if eq $name "egress" }}
LISTEN_ADDR: {{ include "ipfleet.listen" (list $root 7777) | quote }}
METRICS_ADDR: {{ include "ipfleet.listen" (list $root 7778) | quote }}
{{- if $root.Values.egress.tlsSecret }}
TLS_LISTEN_ADDR: {{ include "ipfleet.listen" (list $root 7443) | quote }}
TLS_CERT: /run/tls/tls.crt
TLS_KEY: /run/tls/tls.key
{{- end }}
{{- with $pool.addresses }}
IP_POOL: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What holds unless a value says otherwise, as YAML. Takes (list $ "lookup"). */}}
{{- define "ipfleet.presets" -}}
{{- $values := (index . 0).Values -}}
{{- if and (eq (index . 1) "edge") (or $values.ingress.enabled $values.httpRoute.enabled) }}
TRUST_PROXY: private
{{- else if eq (index . 1) "lookup" }}
OFFLINE_DB_DIR: /var/lib/ipfleet
{{- else if and (eq (index . 1) "bulk") (include "ipfleet.ownRedis" (index . 0)) }}
BULK_MAX_STORED_BYTES: 268435456
{{- end }}
{{- end -}}

{{/* A probe with GET. Takes (dict "path" "/readyz" "port" "http" "scheme" "HTTP"). */}}
{{- define "ipfleet.get" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
  scheme: {{ .scheme }}
timeoutSeconds: 3
{{- end -}}

{{/*
Readiness is a service's own: a backend that is away does not take its callers away too. The edge has a backend as soon as
one replica is ready. It is alive while it accepts connections; what its paths answer depends on others.
*/}}
{{- define "ipfleet.probes" -}}
{{- $name := index . 1 -}}
{{- $port := eq $name "egress" | ternary "metrics" "http" -}}
{{- $ready := dict "path" "/readyz" "port" $port "scheme" "HTTP" -}}
{{- $alive := include "ipfleet.get" (dict "path" "/livez" "port" $port "scheme" "HTTP") -}}
{{- if eq $name "edge" -}}
{{- $ready = dict "path" "/edge/readyz" "port" $port "scheme" ((index . 0).Values.edge.tlsSecret | empty | ternary "HTTP" "HTTPS") -}}
{{- $alive = "tcpSocket:\n  port: http" -}}
{{- end -}}
startupProbe:
  {{- $alive | nindent 2 }}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  {{- $alive | nindent 2 }}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  {{- include "ipfleet.get" $ready | nindent 2 }}
  periodSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* Every Secret of a service, in one folder: a file NAME there is the setting NAME_FILE. Takes (list $ "lookup" $values). */}}
{{- define "ipfleet.secretSources" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
{{- with $root.Values.redis.existingSecret }}
- secret: { name: {{ . }} }
{{- end }}
{{- with $values.existingSecret }}
- secret: { name: {{ . }} }
{{- end }}
{{- if $values.secrets }}
- secret: { name: {{ include "ipfleet.fullname" $root }}-{{ index . 1 }} }
{{- end }}
{{- end -}}

{{/* The workload of a service, with its autoscaler. Takes (list $ "lookup" $values $pool), $pool of egress or an empty map. */}}
{{- define "ipfleet.workload" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := index . 2 -}}
{{- $pool := index . 3 -}}
{{- $suffix := printf "-%s%s" $name ($pool.name | empty | ternary "" (printf "-%s" $pool.name)) -}}
{{- $kind := $values.kind | default "Deployment" -}}
{{- $hostNetwork := hasKey $pool "hostNetwork" | ternary $pool.hostNetwork ($values.hostNetwork | default false) -}}
{{- $scaled := and $values.autoscaling.enabled (eq $kind "Deployment") -}}
{{- $env := include "ipfleet.presets" (list $root $name) | fromYaml -}}
{{- include "ipfleet.overlay" (list $env $values.settings) -}}
{{- include "ipfleet.overlay" (list $env (include "ipfleet.wiring" (list $root $name $pool) | fromYaml)) -}}
{{- $secrets := include "ipfleet.secretSources" (list $root $name $values) -}}
{{- $selector := include "ipfleet.selector" (list $root $name) -}}
{{- with $pool.name }}{{ $selector = printf "%s\nipfleet/pool: %s" $selector . }}{{ end -}}
{{- $drainSeconds := divf (get $env "DRAIN_MS" | default 10000) 1000 | ceil | int }}
---
apiVersion: apps/v1
kind: {{ $kind }}
metadata:
  {{- include "ipfleet.metadata" (list $root $name $suffix) | nindent 2 }}
spec:
  {{- if and (eq $kind "Deployment") (not $scaled) }}
  replicas: {{ hasKey $pool "replicas" | ternary $pool.replicas $values.replicas }}
  {{- end }}
  {{- if eq $kind "Deployment" }}
  strategy:
    type: RollingUpdate
    {{- /* With the network of the node, two cannot be on one node at a time. */}}
    rollingUpdate: { maxSurge: {{ $hostNetwork | ternary 0 1 }}, maxUnavailable: {{ $hostNetwork | ternary 1 0 }} }
  {{- end }}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $selector | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        {{- if eq $name "edge" }}
        checksum/config: {{ include "ipfleet.edgeConfig" $root | sha256sum }}
        {{- end }}
        {{- /* KEYS and USERS are read again when they change. */}}
        checksum/secrets: {{ omit $values.secrets "KEYS" "USERS" | toJson | sha256sum }}
        {{- with merge (dict) ($pool.podAnnotations | default dict) $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $values.serviceAccountName }}
      serviceAccountName: {{ . }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $hostNetwork }}
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
      {{- end }}
      securityContext:
        {{- toYaml $values.podSecurityContext | nindent 8 }}
      {{- /* What preStop takes, then DRAIN_MS, then what is under way */}}
      terminationGracePeriodSeconds: {{ add $root.Values.preStopSeconds $drainSeconds $values.finishSeconds }}
      {{- with $values.topologyKeys }}
      topologySpreadConstraints:
        {{- range . }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- $selector | nindent 14 }}
        {{- end }}
      {{- end }}
      {{- with $pool.nodeSelector | default $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ $name }}
          image: {{ with $root.Values.image.registry }}{{ . | trimSuffix "/" }}/{{ end }}ipfleet-{{ $name }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          {{- if eq $name "edge" }}
          args: [--config, /etc/ipfleet/proxy.toml]
          {{- end }}
          {{- with $env }}
          env:
            {{- range $setting, $value := . }}
            - { name: {{ $setting }}, value: {{ include "ipfleet.text" $value | quote }} }
            {{- end }}
          {{- end }}
          ports:
            {{- if eq $name "egress" }}
            - { name: proxy, containerPort: 7777 }
            {{- if $values.tlsSecret }}
            - { name: proxy-tls, containerPort: 7443 }
            {{- end }}
            - { name: metrics, containerPort: 7778 }
            {{- else }}
            - { name: http, containerPort: {{ eq $name "bulk" | ternary 8082 8080 }} }
            {{- end }}
          {{- include "ipfleet.probes" (list $root $name) | nindent 10 }}
          lifecycle:
            preStop: { sleep: { seconds: {{ $root.Values.preStopSeconds }} } }
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- toYaml $values.containerSecurityContext | nindent 12 }}
          volumeMounts:
            - { name: tmp, mountPath: /tmp }
            {{- if $secrets }}
            - { name: secrets, mountPath: /run/secrets, readOnly: true }
            {{- end }}
            {{- if eq $name "edge" }}
            - { name: config, mountPath: /etc/ipfleet, readOnly: true }
            {{- end }}
            {{- if $values.tlsSecret }}
            - { name: tls, mountPath: /run/tls, readOnly: true }
            {{- end }}
            {{- if eq $name "lookup" }}
            - { name: downloads, mountPath: /var/lib/ipfleet }
            {{- end }}
            {{- with $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - { name: tmp, emptyDir: { sizeLimit: 64Mi } }
        {{- if $secrets }}
        - name: secrets
          projected:
            defaultMode: 0440
            sources:
              {{- $secrets | trim | nindent 14 }}
        {{- end }}
        {{- if eq $name "edge" }}
        - { name: config, configMap: { name: {{ include "ipfleet.fullname" $root }}-edge } }
        {{- end }}
        {{- if $values.tlsSecret }}
        - { name: tls, secret: { secretName: {{ $values.tlsSecret }}, defaultMode: 0440 } }
        {{- end }}
        {{- if eq $name "lookup" }}
        - { name: downloads, emptyDir: {} }
        {{- end }}
        {{- with $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- if $scaled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "ipfleet.metadata" (list $root $name $suffix) | nindent 2 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "ipfleet.fullname" $root }}{{ $suffix }} }
  minReplicas: {{ $values.autoscaling.minReplicas }}
  maxReplicas: {{ $values.autoscaling.maxReplicas }}
  metrics:
    {{- with $values.autoscaling.cpuPercent }}
    - type: Resource
      resource: { name: cpu, target: { type: Utilization, averageUtilization: {{ . }} } }
    {{- end }}
    {{- with $values.autoscaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}
