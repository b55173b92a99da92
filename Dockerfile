# syntax=docker/dockerfile:1

# The image of the controller, which holds the whole command. It is static, and needs no shell and
# no git: the controller speaks Git's protocol itself. Only the commands that work on a checkout or
# a bare repository of this machine run git, and those are for people; they, and pintle demo, want
# it installed and are not for this image.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --tag ghcr.io/pintle-dev/pintle:VERSION .

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
# Before the sources, so that a change of ours does not fetch the modules again.
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which the go command takes the version that the binary tells.
COPY . .
ARG TARGETOS
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=auto -ldflags "-s -w" -o /pintle ./cmd/pintle

# Certificate authorities, and the user 65532 that the manifests run it as.
FROM gcr.io/distroless/static:nonroot
COPY --from=build /pintle /pintle
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/pintle"]
CMD ["controller"]
