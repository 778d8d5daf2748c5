# The image holds one static binary and, if they were built, the plugins that ship and the interpreter of JavaScript. Build it in the root of
# the repository:
#
#	make plugins-shipped interpreters   # or put your own plugins into build/plugins
#	docker build -t taskhost .
#	docker run --rm -p 127.0.0.1:8080:8080 -v taskhost-data:/data taskhost
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/taskhost ./cmd/taskhost
# Folders that the server writes to, owned by its user: scratch has no shell to make them with.
RUN mkdir -p /out/data/plugins /out/tmp && (cp build/plugins/* /out/data/plugins/ || true)

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/taskhost /taskhost
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
USER 65532:65532
ENV TASKHOST_LISTEN=0.0.0.0:8080 TASKHOST_DATA=/data TASKHOST_PLUGINS=/data/plugins TASKHOST_CACHE=/data/cache
# A new volume begins with the plugins of the image. What is uploaded and rolled back stays in it, whatever image comes next.
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["/taskhost", "health"]
# 0.0.0.0 is refused until there is a token:
#	docker run --rm -v taskhost-data:/data taskhost token create --role admin --name me
ENTRYPOINT ["/taskhost"]
CMD ["serve"]
