# The project's images, each a target:
#   docker build --target chat-node -t holdfast/chat-node .   a chat node
#   docker build --target chaos     -t holdfast/chaos .       the harness, with a chat node and a Redis server beside it
# Nothing of BuildKit is needed. What is built upon can be replaced, by a mirror or by images of your own.
ARG RUST_IMAGE=rust:1.94-slim-bookworm
ARG BASE_IMAGE=debian:bookworm-slim
ARG REDIS_IMAGE=redis:7.2-bookworm

FROM ${RUST_IMAGE} AS programs
WORKDIR /holdfast
COPY . .
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
RUN cargo build --release --locked --package system-server --bin chat-node \
 && cargo build --release --locked --package chaos-cli --bin chaos

FROM ${BASE_IMAGE} AS chat-node
COPY --from=programs /holdfast/target/release/chat-node /usr/local/bin/
ENV CHAT_LISTEN=0.0.0.0:3000
EXPOSE 3000
USER 65532:65532
# It drains, within --drain-within (10 s): whoever stops it should wait longer than that.
STOPSIGNAL SIGTERM
# /health, not /ready: a node that cannot reach its Redis should get no users, but to start it again would help nobody.
# With TLS on the listener (--tls-cert) give it another check, or none.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["bash", "-c", "\
  exec 3<>/dev/tcp/127.0.0.1/${CHAT_LISTEN##*:} \
  && printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 \
  && read -r answer <&3 && [[ $answer == *' 200 '* ]]"]
ENTRYPOINT ["chat-node"]

FROM ${REDIS_IMAGE} AS chaos
COPY --from=programs /holdfast/target/release/chat-node /holdfast/target/release/chaos /usr/local/bin/
# Runs are stored in target/drills: mount a folder of yours there, and run it as its owner.
WORKDIR /drills
RUN chown 65532:65532 /drills
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK NONE
ENTRYPOINT ["chaos"]
CMD ["--help"]
