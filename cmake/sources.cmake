# The library's sources, one list per layer; a file includes only its own layer and lower ones
# (tests/contract checks that against the first line of each file). To add a file, add its line.

set(sally_l0_base
    mem.c
    error.c
    hex.c
    clock.c
    deadlines.c
    sync.c
    stream_${SALLYPORT_STREAM}.c
    buf.c)

set(sally_l1_waiting
    wake_${SALLYPORT_WAKE}.c
    break.c
    break_owner.c
    break_shield.c
    break_signal.c
    thread_own.c
    wait.c
    pollset_${SALLYPORT_POLLSET}.c)

set(sally_l2_net
    addr.c
    resolve.c
    sock.c
    fd.c
    transport_sock.c
    transport_fd.c
    transport_box.c
    transport_callback.c)

set(sally_l3_crypto
    ossl.c
    bio.c
    load.c
    load_pem.c
    load_chain.c
    load_crl.c
    load_dh.c
    load_key.c
    context.c
    context_make.c
    context_set.c
    context_crl.c
    context_exchange.c
    context_suggest.c
    context_names.c
    keylog.c
    context_keylog.c
    context_build.c
    context_remark.c
    context_identity.c
    context_verify.c
    context_default.c
    context_demand.c
    hostname.c
    certificate.c
    verify.c
    verify_reason.c
    binding.c
    registry.c
    digest.c
    protocols.c
    libs.c
    names.c
    hello.c
    alpn.c)

set(sally_l4_engine
    engine.c
    engine_error.c
    engine_names.c
    engine_auth.c
    engine_peer.c)

set(sally_l5_ports
    conn.c
    conn_drive.c
    conn_exchange.c
    conn_names.c
    port_read.c
    port_write.c
    port_printf.c
    port_copy.c
    port_file.c
    port_close.c
    port_query.c
    peer.c
    port_verify.c
    port_watch.c
    digest_port.c
    linger.c
    farewell.c
    transport_port.c
    wrap.c)

set(sally_l6_ends
    connect.c
    connect_race.c
    listener.c
    listener_open.c
    listener_context.c
    handshakes.c
    ssl_sync.c)

set(sally_l7_service
    pool.c
    park.c
    gate.c
    server.c
    connection.c
    drain.c)

set(sally_sources
    ${sally_l0_base}
    ${sally_l1_waiting}
    ${sally_l2_net}
    ${sally_l3_crypto}
    ${sally_l4_engine}
    ${sally_l5_ports}
    ${sally_l6_ends}
    ${sally_l7_service})
list(TRANSFORM sally_sources PREPEND ${PROJECT_SOURCE_DIR}/src/)
