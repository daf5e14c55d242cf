{{- define "lagwatch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "lagwatch.fullname" -}}
{{- $name := include "lagwatch.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "lagwatch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "lagwatch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lagwatch.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "lagwatch.selectorLabels" . }}
app.kubernetes.io/component: {{ .Values.mode }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "lagwatch.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "lagwatch.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "lagwatch.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- /* The Kafka user of lagwatch, and of the consumer beside it. */}}
{{- define "lagwatch.user" -}}
{{- $own := .Values.kafka.sasl.username }}
{{- if $own }}{{ $own }}
{{- else if eq .Values.mode "sidecar" }}{{ printf "lagwatch-%s" (include "lagwatch.fullname" .) }}
{{- else }}{{ include "lagwatch.fullname" . }}
{{- end }}
{{- end }}

{{- define "lagwatch.consumerUser" -}}
{{- if .Values.consumer.sasl.username }}{{ .Values.consumer.sasl.username }}
{{- else if .Values.strimzi.cluster }}{{ include "lagwatch.fullname" . }}
{{- else }}{{ include "lagwatch.user" . }}
{{- end }}
{{- end }}

{{- /* The Secrets of their passwords. Strimzi names a user's Secret after the user. */}}
{{- define "lagwatch.secret" -}}
{{- if .Values.strimzi.cluster }}{{ default (include "lagwatch.user" .) .Values.kafka.sasl.secret }}
{{- else }}{{ required "kafka.sasl.secret: a Secret with the password" .Values.kafka.sasl.secret }}
{{- end }}
{{- end }}

{{- define "lagwatch.consumerSecret" -}}
{{- if .Values.consumer.sasl.secret }}{{ .Values.consumer.sasl.secret }}
{{- else if .Values.strimzi.cluster }}{{ include "lagwatch.consumerUser" . }}
{{- else }}{{ include "lagwatch.secret" . }}
{{- end }}
{{- end }}

{{- /* The consumer's own key goes with its own Secret. */}}
{{- define "lagwatch.consumerPasswordKey" -}}
{{- if or .Values.consumer.sasl.secret .Values.strimzi.cluster }}{{ .Values.consumer.sasl.passwordKey }}
{{- else }}{{ .Values.kafka.sasl.passwordKey }}
{{- end }}
{{- end }}

{{- define "lagwatch.mechanism" -}}
{{- default (ternary "SCRAM-SHA-512" "" (ne .Values.strimzi.cluster "")) .Values.kafka.sasl.mechanism }}
{{- end }}

{{- define "lagwatch.caSecret" -}}
{{- $kafka := .Values.kafka }}
{{- if $kafka.tls.enabled }}
{{- default (ternary (printf "%s-cluster-ca-cert" .Values.strimzi.cluster) "" (ne .Values.strimzi.cluster "")) $kafka.tls.caSecret }}
{{- end }}
{{- end }}

{{- define "lagwatch.shardGroup" -}}
{{- if .Values.shard.group }}{{ .Values.shard.group }}
{{- else if eq .Values.mode "sidecar" }}{{ printf "lagwatch-%s" (include "lagwatch.fullname" .) }}
{{- else }}{{ include "lagwatch.fullname" . }}
{{- end }}
{{- end }}

{{- /* One entry of `clusters`, without what is watched: (list $ USER). */}}
{{- define "lagwatch.connection" -}}
{{- $top := index . 0 }}
{{- $user := index . 1 }}
{{- $values := $top.Values }}
{{- $tls := $values.kafka.tls }}
{{- $mechanism := include "lagwatch.mechanism" $top }}
{{- $properties := dict }}
{{- if $mechanism }}
{{- $_ := set $properties "security.protocol" (ternary "SASL_SSL" "SASL_PLAINTEXT" $tls.enabled) }}
{{- $_ := set $properties "sasl.mechanism" $mechanism }}
{{- $_ := set $properties "sasl.username" $user }}
{{- $_ := set $properties "sasl.password_file" "/run/secrets/kafka/password" }}
{{- else if $tls.enabled }}
{{- $_ := set $properties "security.protocol" "SSL" }}
{{- end }}
{{- if include "lagwatch.caSecret" $top }}
{{- $_ := set $properties "ssl.ca.location" "/run/secrets/kafka-ca/ca.crt" }}
{{- end }}
{{- if and $tls.enabled $tls.clientSecret }}
{{- $_ := set $properties "ssl.certificate.location" "/run/secrets/kafka-client/tls.crt" }}
{{- $_ := set $properties "ssl.key.location" "/run/secrets/kafka-client/tls.key" }}
{{- end }}
{{- $properties = mergeOverwrite $properties $values.kafka.properties }}
{{- $servers := $values.kafka.bootstrapServers }}
{{- if and (not $servers) $values.strimzi.cluster }}
{{- $servers = list (printf "%s-kafka-bootstrap:%s" $values.strimzi.cluster (ternary "9093" "9092" $tls.enabled)) }}
{{- end }}
{{- if not $servers }}{{ fail "kafka.bootstrapServers: at least one host:port, or strimzi.cluster" }}{{ end }}
{{- $cluster := dict "bootstrap-servers" $servers }}
{{- if $values.kafka.name }}{{ $_ := set $cluster "name" $values.kafka.name }}{{ end }}
{{- if $properties }}{{ $_ := set $cluster "kafka-properties" $properties }}{{ end }}
{{- toYaml $cluster }}
{{- end }}

{{- define "lagwatch.log" -}}
{{- toYaml .Values.log }}
{{- end }}

{{- /* lagwatch.yaml */}}
{{- define "lagwatch.config" -}}
{{- $cluster := include "lagwatch.connection" (list . (include "lagwatch.user" .)) | fromYaml }}
{{- if eq .Values.mode "sidecar" }}
{{- $_ := set $cluster "groups" (dict "names" (list .Values.consumer.group)) }}
{{- $_ := set $cluster "topics" (dict "names" .Values.consumer.topics) }}
{{- end }}
{{- if .Values.shard.enabled }}
{{- $_ := set $cluster "shard" (dict "group" (include "lagwatch.shardGroup" .)) }}
{{- end }}
{{- range $key, $value := .Values.cluster }}{{ $_ := set $cluster $key $value }}{{ end }}
{{- $config := dict "clusters" (list $cluster) "log" .Values.log }}
{{- if .Values.web.configSecret }}
{{- $_ := set $config "web" (dict "config-file" (printf "/run/secrets/web/%s" .Values.web.configKey)) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- /* consumer.yaml */}}
{{- define "lagwatch.consumerConfig" -}}
{{- $cluster := include "lagwatch.connection" (list . (include "lagwatch.consumerUser" .)) | fromYaml }}
{{- $own := .Values.consumer }}
{{- $consumer := dict "topics" $own.topics "group" $own.group "dead-letter-topic" $own.deadLetterTopic }}
{{- $_ := set $consumer "audit-log" (dict "path" "/var/lib/lagwatch/audit.sqlite") }}
{{- $_ := set $consumer "grace-period" (printf "%ds" (int $own.gracePeriodSeconds)) }}
{{- $consumer = mergeOverwrite $consumer $own.config }}
{{- toYaml (dict "clusters" (list $cluster) "consumer" $consumer "log" .Values.log) }}
{{- end }}

{{- /* Whether the consumer is `lagwatch consume`. */}}
{{- define "lagwatch.ownConsumer" -}}
{{- if not .Values.consumer.image.repository }}true{{ end }}
{{- end }}

{{- define "lagwatch.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* A probe of lagwatch itself: (list $ PATH PORT). */}}
{{- define "lagwatch.probe" -}}
{{- $top := index . 0 }}
{{- if $top.Values.web.configSecret -}}
tcpSocket:
  port: {{ index . 2 }}
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: {{ index . 2 }}
{{- end }}
{{- end }}
