{{- define "berth.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 55 | trimSuffix "-" -}}
{{- end }}

{{/* The name of everything, with room left for the longest suffix in a label of 63 characters. */}}
{{- define "berth.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- else if contains (include "berth.name" .) .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "berth.name" .) | trunc 55 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* These never change in the life of a release: a Deployment's selector is immutable. */}}
{{- define "berth.selector" -}}
app.kubernetes.io/name: {{ include "berth.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Pods of the scanner have a name of their own, so that no Service of the registry selects them. */}}
{{- define "berth.scannerSelector" -}}
app.kubernetes.io/name: {{ include "berth.name" . }}-scanner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "berth.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "berth.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "berth.image" -}}
{{ include "berth.imageOf" (dict "image" .Values.image "version" .Chart.AppVersion) }}
{{- end }}

{{/* The reference of an image, with tag, digest or both. */}}
{{- define "berth.imageOf" -}}
{{- $tag := .image.tag | default .version -}}
{{- if .image.digest -}}
{{- if .image.tag -}}{{ .image.repository }}:{{ $tag }}@{{ .image.digest }}{{- else -}}{{ .image.repository }}@{{ .image.digest }}{{- end -}}
{{- else -}}
{{ .image.repository }}:{{ $tag }}
{{- end -}}
{{- end }}

{{- define "berth.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "berth.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* Numbers that are 0 when they are meant to be, and have a default that depends on the mode when they are null. */}}
{{- define "berth.replicas" -}}
{{- if kindIs "invalid" .Values.replicas }}{{ ternary 1 2 .Values.persistence.enabled }}{{ else }}{{ int .Values.replicas }}{{ end -}}
{{- end }}

{{- define "berth.drainSeconds" -}}
{{- if kindIs "invalid" .Values.drainSeconds }}{{ ternary 30 300 .Values.persistence.enabled }}{{ else }}{{ int .Values.drainSeconds }}{{ end -}}
{{- end }}

{{- define "berth.preStopSeconds" -}}
{{- if kindIs "invalid" .Values.preStopSeconds }}{{ ternary 0 10 .Values.persistence.enabled }}{{ else }}{{ int .Values.preStopSeconds }}{{ end -}}
{{- end }}

{{/* What is cut off at the end of the drain still writes down how far it came; that has 20 seconds. */}}
{{- define "berth.gracePeriod" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{ add (include "berth.preStopSeconds" . | int) (include "berth.drainSeconds" . | int) 20 }}
{{- else -}}
{{ int .Values.terminationGracePeriodSeconds }}
{{- end -}}
{{- end }}

{{/* The scheme that pods speak, which is also the name of their port. */}}
{{- define "berth.scheme" -}}
{{ ternary "https" "http" (ne .Values.tls.existingSecret "") }}
{{- end }}

{{/* Nine tenths of a memory limit in Mi or Gi, for the Go runtime to stay below; empty if there is no such limit. */}}
{{- define "berth.memoryLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString -}}
{{- if regexMatch "^[0-9]+Mi$" $limit -}}
{{ div (mul (trimSuffix "Mi" $limit | int) 9) 10 }}MiB
{{- else if regexMatch "^[0-9]+Gi$" $limit -}}
{{ div (mul (trimSuffix "Gi" $limit | int) 1024 9) 10 }}MiB
{{- end -}}
{{- end }}

{{/* Where secrets come from: "values", "existing" or nothing. */}}
{{- define "berth.storageKeys" -}}
{{- if .Values.storage.existingSecret.name }}existing{{ else if .Values.storage.accessKeyID }}values{{ end -}}
{{- end }}

{{- define "berth.adminPassword" -}}
{{- if .Values.admin.existingSecret.name }}existing{{ else if .Values.admin.password }}values{{ end -}}
{{- end }}

{{/* berth.yaml: what was asked for, and what the rest of the chart relies on. */}}
{{- define "berth.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $key, $value := $config -}}
{{- if kindIs "invalid" $value }}{{ $_ := unset $config $key }}{{ end -}}
{{- end -}}
{{- /* To Helm's YAML an unquoted off is false. */ -}}
{{- range $key := list "redirect" "scan-db" "scan-java-db" -}}
{{- if and (hasKey $config $key) (kindIs "bool" (index $config $key)) }}{{ $_ := set $config $key "off" }}{{ end -}}
{{- end -}}
{{- $_ := set $config "addr" ":5000" -}}
{{- $_ := set $config "admin-addr" ":5001" -}}
{{- $_ := set $config "drain-timeout" (printf "%ss" (include "berth.drainSeconds" .)) -}}
{{- if .Values.persistence.enabled }}{{ $_ := set $config "data" "/data" }}{{ else }}{{ $_ := set $config "storage" .Values.storage.url }}{{ end -}}
{{- if .Values.tls.existingSecret -}}
{{- $_ := set $config "tls-cert" "/etc/berth-tls/tls.crt" -}}
{{- $_ := set $config "tls-key" "/etc/berth-tls/tls.key" -}}
{{- end -}}
{{- /* Clients must be sent to https for their token, which berth behind an Ingress cannot know by itself. With several hosts
a trusted proxy can tell which one it is. */ -}}
{{- if and .Values.ingress.enabled .Values.ingress.tls.enabled (not (index $config "public-url")) (or (not (index $config "trusted-proxy")) (eq (len .Values.ingress.hosts) 1)) -}}
{{- $_ := set $config "public-url" (printf "https://%s" (first .Values.ingress.hosts)) -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}
