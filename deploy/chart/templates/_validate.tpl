{{/* What no single value is wrong about. All of it is told at once, with what to do. */}}
{{- define "berth.validate" -}}
{{- $v := .Values -}}
{{- $e := list -}}
{{- if not $v.image.repository -}}
{{- $e = append $e "image.repository is missing: name an image of berth, such as registry.example.com/berth; deploy/Dockerfile builds it" -}}
{{- end -}}

{{- if $v.persistence.enabled -}}
{{- if ne (include "berth.replicas" .) "1" -}}
{{- if ne (include "berth.replicas" .) "0" -}}
{{- $e = append $e (printf "replicas is %s with persistence.enabled: SQLite and a disk serve one replica only; set replicas to 1, or set persistence.enabled to false and give database.url and storage.url" (include "berth.replicas" .)) -}}
{{- end -}}
{{- end -}}
{{- if not (has ($v.strategy.type | default "Recreate") (list "Recreate")) -}}
{{- $e = append $e (printf "strategy.type is %s with persistence.enabled: two pods cannot share the disk; leave strategy empty, which means Recreate" $v.strategy.type) -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- $e = append $e "autoscaling.enabled with persistence.enabled: SQLite and a disk serve one replica only; set autoscaling.enabled to false, or persistence.enabled to false and give database.url and storage.url" -}}
{{- end -}}
{{- if or $v.database.url $v.database.password $v.database.existingSecret.name -}}
{{- $e = append $e "database.* with persistence.enabled: a single node keeps its metadata in SQLite on its volume; empty database.*, or set persistence.enabled to false" -}}
{{- end -}}
{{- if or $v.storage.url $v.storage.accessKeyID $v.storage.secretAccessKey $v.storage.existingSecret.name -}}
{{- $e = append $e "storage.* with persistence.enabled: a single node keeps its blobs on its volume; empty storage.*, or set persistence.enabled to false" -}}
{{- end -}}
{{- else -}}

{{- if $v.database.url -}}
{{- if not (regexMatch "^postgres(ql)?://" $v.database.url) -}}
{{- $e = append $e "database.url must begin with postgres://, as several replicas share it; for SQLite on one node empty database.url and set persistence.enabled to true" -}}
{{- end -}}
{{- if and (regexMatch "^[a-z]+://[^/@]*:[^/@]*@" $v.database.url) (or $v.database.password $v.database.existingSecret.name) -}}
{{- $e = append $e "database.url has a password, and so has database.password or database.existingSecret: leave it out of database.url" -}}
{{- end -}}
{{- if and $v.database.password $v.database.existingSecret.name -}}
{{- $e = append $e "database.password and database.existingSecret.name both give the password: leave one of them empty" -}}
{{- end -}}
{{- else if not $v.database.existingSecret.name -}}
{{- $e = append $e "database.url is missing: give postgres://user@host:5432/database?sslmode=verify-full, or a Secret that has it by database.existingSecret.name; a single node without PostgreSQL and S3 needs persistence.enabled=true" -}}
{{- else if $v.database.password -}}
{{- $e = append $e "database.password without database.url: the URL is taken from database.existingSecret, and so must be the password" -}}
{{- end -}}

{{- if not $v.storage.url -}}
{{- $e = append $e "storage.url is missing: give s3://bucket/prefix?region=eu-central-1; a single node without PostgreSQL and S3 needs persistence.enabled=true" -}}
{{- else if not (hasPrefix "s3://" $v.storage.url) -}}
{{- $e = append $e "storage.url must begin with s3://, as several replicas share it; for a disk on one node empty storage.url and set persistence.enabled to true" -}}
{{- else if regexMatch "^s3://[^/?]*@" $v.storage.url -}}
{{- $e = append $e "storage.url has credentials, which would be readable in a ConfigMap: move them to storage.accessKeyID and storage.secretAccessKey, or to storage.existingSecret" -}}
{{- end -}}
{{- if ne (empty $v.storage.accessKeyID) (empty $v.storage.secretAccessKey) -}}
{{- $e = append $e "storage.accessKeyID and storage.secretAccessKey go together: give both, or neither for an IAM role" -}}
{{- end -}}
{{- if and $v.storage.accessKeyID $v.storage.existingSecret.name -}}
{{- $e = append $e "storage.accessKeyID and storage.existingSecret.name both give the keys: leave one of them empty" -}}
{{- end -}}
{{- if and (include "berth.storageKeys" .) (hasKey $v.serviceAccount.annotations "eks.amazonaws.com/role-arn") -}}
{{- $e = append $e "serviceAccount.annotations has an IAM role, and storage.* has keys, which would be used instead of it: remove one of them" -}}
{{- end -}}
{{- end -}}

{{- if $v.scanner.enabled -}}
{{- if not $v.scanner.image.repository -}}
{{- $e = append $e "scanner.image.repository is missing: name an image of berth-scanner, such as registry.example.com/berth-scanner; target scanner of deploy/Dockerfile builds it" -}}
{{- end -}}
{{- if not $v.scanner.existingSecret.name -}}
{{- $e = append $e "scanner.existingSecret.name is missing: make a robot with berth robot add, and a Secret with its name and secret" -}}
{{- end -}}
{{- end -}}
{{- if and $v.admin.password $v.admin.existingSecret.name -}}
{{- $e = append $e "admin.password and admin.existingSecret.name both give the password: leave one of them empty" -}}
{{- end -}}
{{- $least := add (include "berth.preStopSeconds" . | int) (include "berth.drainSeconds" . | int) -}}
{{- if le (include "berth.gracePeriod" . | int) ($least | int) -}}
{{- $e = append $e (printf "terminationGracePeriodSeconds is %s, and preStopSeconds and drainSeconds take %d: pods would be killed before requests have ended; leave it empty, or make it longer than that" (include "berth.gracePeriod" .) $least) -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not (kindIs "invalid" $v.replicas)) (not $v.persistence.enabled) -}}
{{- $e = append $e "replicas and autoscaling.enabled both say how many replicas there are: leave replicas empty and set autoscaling.minReplicas" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $e = append $e "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (kindIs "invalid" $v.autoscaling.targetCPU) (kindIs "invalid" $v.autoscaling.targetMemory) -}}
{{- $e = append $e "autoscaling.enabled without a target: set autoscaling.targetCPU or autoscaling.targetMemory" -}}
{{- end -}}
{{- range $resource, $target := dict "cpu" $v.autoscaling.targetCPU "memory" $v.autoscaling.targetMemory -}}
{{- if and $v.autoscaling.enabled (not (kindIs "invalid" $target)) (not (dig "requests" $resource "" $v.resources)) (not (dig "limits" $resource "" $v.resources)) -}}
{{- $e = append $e (printf "autoscaling by %s needs resources.requests.%s, which its target is a percentage of" $resource $resource) -}}
{{- end -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
{{- $e = append $e "ingress.enabled without ingress.hosts: a registry needs a host name of its own, such as registry.example.com" -}}
{{- end -}}
{{- if and $v.serviceAccount.annotations (not $v.serviceAccount.create) -}}
{{- $e = append $e "serviceAccount.annotations without serviceAccount.create: annotate the ServiceAccount that exists, or let the chart create one" -}}
{{- end -}}
{{- if and (has $v.config.redirect (list true)) -}}
{{- $e = append $e "config.redirect must be \"off\", \"always\" or a list of CIDRs" -}}
{{- end -}}

{{- $managed := dict
  "BERTH_CONFIG" "nothing" "BERTH_ADDR" "service.port" "BERTH_ADMIN_ADDR" "nothing: probes rely on port 5001" "BERTH_DATA" "persistence"
  "BERTH_STORAGE" "storage.url" "BERTH_DATABASE" "database" "BERTH_ADMIN_PASSWORD" "admin" "BERTH_DRAIN_TIMEOUT" "drainSeconds"
  "BERTH_TLS_CERT" "tls.existingSecret" "BERTH_TLS_KEY" "tls.existingSecret" -}}
{{- range $v.extraEnv -}}
{{- if hasKey $managed .name -}}
{{- $e = append $e (printf "extraEnv has %s, which the chart sets itself; use %s" .name (get $managed .name)) -}}
{{- end -}}
{{- end -}}

{{- if $e -}}
{{- fail (printf "\n\n%s\n" (join "\n" $e)) -}}
{{- end -}}
{{- end }}
