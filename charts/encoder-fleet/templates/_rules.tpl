{{/*
What the operator may do: what it really asks for, and nothing else. tests/charting drives it through all that it can do
and compares this with the API server's audit log, in both directions. docs/install.md says why each is there.
*/}}

{{/* Where pools are: in all namespaces, or in those that are served. */}}
{{- define "encoder-fleet.poolRules" -}}
- apiGroups: [encoderfleet.io]
  resources: [encoderpools]
  verbs: [list, watch]
- apiGroups: [encoderfleet.io]
  resources: [encoderpools/status, encoderpools/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# What every pool has as long as it is there. Applying takes `patch`, and `create` where the object is new.
- apiGroups: [""]
  resources: [serviceaccounts, services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# What a pool may have no use for any more.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}

{{/* What has no namespace, or counts wherever it is. */}}
{{- define "encoder-fleet.clusterRules" -}}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [encoderpools.encoderfleet.io]
  verbs: [get]
{{- if .Values.nodes.read }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [daemonsets]
  verbs: [list, watch]
{{- end }}
{{- end }}
