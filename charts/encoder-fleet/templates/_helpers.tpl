{{/* The chart's name. */}}
{{- define "encoder-fleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
The release's name and the chart's, once where they are the same. Its longest use has a suffix of five. A release may be
called `2` or `a.b`, which a Service may not.
*/}}
{{- define "encoder-fleet.fullname" -}}
{{- $name := include "encoder-fleet.name" . }}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- $full := default $both .Values.fullnameOverride | trunc 58 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) }}
{{- fail (printf "%s cannot be the name of a Service: call the release otherwise, or set fullnameOverride" $full) }}
{{- end }}
{{- $full }}
{{- end }}

{{/* Names of what has no namespace. An operator of some namespaces has others beside it; of all, there is but one. */}}
{{- define "encoder-fleet.clusterName" -}}
{{- $name := include "encoder-fleet.fullname" . }}
{{- ternary (printf "%s-%s" $name .Release.Namespace) $name (not (empty .Values.watchNamespaces)) }}
{{- end }}

{{/* What the Service and the Deployment find the operator's pod by. */}}
{{- define "encoder-fleet.selector" -}}
app.kubernetes.io/name: {{ include "encoder-fleet.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Labels of all that is installed. */}}
{{- define "encoder-fleet.labels" -}}
{{ include "encoder-fleet.selector" . }}
app.kubernetes.io/part-of: encoderfleet
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Of the pod that `helm test` runs: not what the Service selects. */}}
{{- define "encoder-fleet.testSelector" -}}
app.kubernetes.io/name: {{ include "encoder-fleet.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end }}

{{- define "encoder-fleet.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- define "encoder-fleet.encoderImage" -}}
{{ default (printf "encoderfleet-encoder:%s" .Chart.AppVersion) .Values.encoder.image }}
{{- end }}

{{/* Where the operator's pod and the test's may run, and who they are: what both have. */}}
{{- define "encoder-fleet.podSpec" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "encoder-fleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
