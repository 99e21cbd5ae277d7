# The daemon alone: one static binary, certificates of the public authorities, an
# empty /tmp, no shell. Settings are mounted at /etc/fantail; what must survive
# lies in the volume /var/lib/fantail, which fantail.yaml has to name.
#
#   make release VERSION=v0.1.0 && docker build -t fantail:v0.1.0 .    of the binaries of a release
#   make image                                                         of this checkout
#   docker run -v ./configs/compose:/etc/fantail:ro -v fantail:/var/lib/fantail -p 127.0.0.1:8080:8080 -e ... fantail
#
# There is no HEALTHCHECK, since nothing in the image could ask: probe /healthz
# and /readyz from outside.

# It has the certificates, and runs on the builder's processor, whatever the image is for.
FROM --platform=$BUILDPLATFORM alpine:3.22 AS base
RUN mkdir -m 700 /data && mkdir -m 1777 /scratch

FROM scratch
ARG BINARIES=dist
ARG TARGETARCH
COPY --from=base /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=base --chown=65532:65532 /scratch /tmp
COPY --from=base --chown=65532:65532 /data /var/lib/fantail
COPY ${BINARIES}/linux_${TARGETARCH}/fantail /usr/local/bin/fantail
USER 65532:65532
WORKDIR /var/lib/fantail
VOLUME /var/lib/fantail
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/fantail"]
CMD ["serve", "--config", "/etc/fantail/fantail.yaml"]
