# The daemon alone: one static binary, certificates of the public authorities, an
# empty /tmp, no shell. Settings are mounted at /etc/fantail; what must survive
# lies in the volume /var/lib/fantail, which fantail.yaml has to name.
#
#   docker build -t fantail .
#   docker run -v ./configs/compose:/etc/fantail:ro -v fantail:/var/lib/fantail -p 127.0.0.1:8080:8080 -e ... fantail
#
# There is no HEALTHCHECK, since nothing in the image could ask: probe /healthz
# and /readyz from outside.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/fantail ./cmd/fantail && mkdir -m 700 /out/data && mkdir -m 1777 /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/data /var/lib/fantail
COPY --from=build /out/fantail /usr/local/bin/fantail
USER 65532:65532
WORKDIR /var/lib/fantail
VOLUME /var/lib/fantail
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/fantail"]
CMD ["serve", "--config", "/etc/fantail/fantail.yaml"]
