{{- /* The container of `lagwatch serve`. */}}
{{- define "lagwatch.container" -}}
name: lagwatch
image: {{ include "lagwatch.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/lagwatch/lagwatch.yaml]
ports:
  - name: metrics
    containerPort: 9308
livenessProbe:
  {{- include "lagwatch.probe" (list . "/healthz" "metrics") | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 3
{{- /* Whether a consumer runs must not depend on who watches it: nothing waits for these of a sidecar. */}}
{{- if eq .Values.mode "exporter" }}
startupProbe:
  {{- include "lagwatch.probe" (list . "/healthz" "metrics") | nindent 2 }}
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  {{- include "lagwatch.probe" (list . "/readyz" "metrics") | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "lagwatch.securityContext" . | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/lagwatch
    readOnly: true
  {{- if include "lagwatch.mechanism" . }}
  - name: lagwatch-password
    mountPath: /run/secrets/kafka
    readOnly: true
  {{- end }}
  {{- include "lagwatch.tlsMounts" . | nindent 2 }}
  {{- if .Values.web.configSecret }}
  - name: web
    mountPath: /run/secrets/web
    readOnly: true
  {{- end }}
{{- end }}

{{- /* The container of `lagwatch consume`, or of another consumer. */}}
{{- define "lagwatch.consumerContainer" -}}
{{- $own := .Values.consumer -}}
name: consumer
{{- if include "lagwatch.ownConsumer" . }}
image: {{ include "lagwatch.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [consume, --config, /etc/lagwatch/consumer.yaml, "--web.listen-address=:9309"]
ports:
  - name: task-metrics
    containerPort: 9309
startupProbe:
  httpGet:
    path: /healthz
    port: task-metrics
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet:
    path: /healthz
    port: task-metrics
  periodSeconds: 10
  timeoutSeconds: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: task-metrics
  periodSeconds: 5
  timeoutSeconds: 3
{{- else }}
image: {{ printf "%s:%s" $own.image.repository (required "consumer.image.tag: which version" $own.image.tag) }}
{{- with $own.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $own.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml $own.resources | nindent 2 }}
securityContext:
  {{- include "lagwatch.securityContext" . | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/lagwatch
    readOnly: true
  - name: data
    mountPath: /var/lib/lagwatch
  {{- if include "lagwatch.mechanism" . }}
  - name: consumer-password
    mountPath: /run/secrets/kafka
    readOnly: true
  {{- end }}
  {{- include "lagwatch.tlsMounts" . | nindent 2 }}
{{- end }}

{{- define "lagwatch.tlsMounts" -}}
{{- if include "lagwatch.caSecret" . }}
- name: kafka-ca
  mountPath: /run/secrets/kafka-ca
  readOnly: true
{{- end }}
{{- if and .Values.kafka.tls.enabled .Values.kafka.tls.clientSecret }}
- name: kafka-client
  mountPath: /run/secrets/kafka-client
  readOnly: true
{{- end }}
{{- end }}

{{- define "lagwatch.volumes" -}}
{{- $kafka := .Values.kafka -}}
- name: config
  configMap:
    name: {{ include "lagwatch.fullname" . }}
{{- if include "lagwatch.mechanism" . }}
- name: lagwatch-password
  secret:
    secretName: {{ include "lagwatch.secret" . }}
    {{- if eq .Values.mode "sidecar" }}
    optional: true
    {{- end }}
    defaultMode: 0440
    items: [{ key: {{ $kafka.sasl.passwordKey | quote }}, path: password }]
{{- end }}
{{- if eq .Values.mode "sidecar" }}
{{- if include "lagwatch.mechanism" . }}
- name: consumer-password
  secret:
    secretName: {{ include "lagwatch.consumerSecret" . }}
    defaultMode: 0440
    items: [{ key: {{ include "lagwatch.consumerPasswordKey" . | quote }}, path: password }]
{{- end }}
- name: data
  emptyDir:
    sizeLimit: 1Gi
{{- end }}
{{- with include "lagwatch.caSecret" . }}
- name: kafka-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{ key: {{ $kafka.tls.caKey | quote }}, path: ca.crt }]
{{- end }}
{{- if and $kafka.tls.enabled $kafka.tls.clientSecret }}
- name: kafka-client
  secret:
    secretName: {{ $kafka.tls.clientSecret }}
    defaultMode: 0440
    items:
      - { key: {{ $kafka.tls.clientCertificateKey | quote }}, path: tls.crt }
      - { key: {{ $kafka.tls.clientKeyKey | quote }}, path: tls.key }
{{- end }}
{{- with .Values.web.configSecret }}
- name: web
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
