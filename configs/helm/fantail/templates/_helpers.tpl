{{- define "fantail.labels" -}}
app.kubernetes.io/name: fantail
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "fantail.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- define "fantail.volumes" -}}
- name: settings
  projected:
    sources:
      - configMap: { name: {{ .Release.Name }} }
      - secret:
          name: {{ .Values.secret }}
          items:
            - { key: store-url, path: store-url }
            - { key: fantail.key, path: fantail.key }
            - { key: operator-token, path: operator-token }
            - { key: producer-token, path: producer-token }
            - { key: scrape-token, path: scrape-token }
    defaultMode: 0440
{{- end -}}
