# The images: podroute itself, and BIRD and FRR to run beside it (manifests/overlays/router-*).
#
#   docker build --target podroute -t localhost/podroute:0.1.0 .       (or buildah bud)
#   docker build --target podroute-bird -t localhost/podroute-bird:0.1.0 .
#   docker build --target podroute-frr -t localhost/podroute-frr:0.1.0 .
#
# scripts/image.sh makes all three without a registry. Each is programs and their libraries only. They
# start as root, for the directories and sockets that they need are root's: capabilities of a user that is
# not root would have to be on the file, which "allowPrivilegeEscalation: false" makes the kernel ignore.
# What they may do is cut down by the manifests' securityContext instead.

ARG BASE=debian:12

FROM ${BASE} AS daemons
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends binutils bird2 frr
COPY scripts/image_root.sh /build/
RUN /build/image_root.sh /image/bird /usr/sbin/bird /usr/sbin/birdc

FROM daemons AS build
COPY . /build/podroute
WORKDIR /build/podroute
RUN scripts/setup.sh --product
RUN scripts/image_root.sh /image/podroute \
      bazel-bin/controller/podroute:/usr/bin/podroute bazel-bin/cni/podroute-cni:/usr/bin/podroute-cni \
      libnftables.so.1
# podroute enters routes with vtysh, which has to be of the daemons' version: so it is in their image.
RUN scripts/image_root.sh /image/frr bazel-bin/controller/podroute:/usr/bin/podroute /usr/bin/vtysh \
      /usr/lib/frr/zebra /usr/lib/frr/staticd /usr/lib/frr/bgpd

FROM scratch AS podroute-bird
COPY --from=daemons /image/bird /
ENTRYPOINT ["/usr/sbin/bird"]

FROM scratch AS podroute-frr
COPY --from=build /image/frr /
ENTRYPOINT ["/usr/bin/podroute"]

FROM scratch AS podroute
COPY --from=build /image/podroute /
ENTRYPOINT ["/usr/bin/podroute"]
