# Certificates for tests and examples, made in the build tree. The target always runs; the script
# does nothing while what it made is fresh.

set(SALLYPORT_CERTS_DIR ${PROJECT_BINARY_DIR}/certs)
add_custom_target(certs ALL
    COMMAND sh ${PROJECT_SOURCE_DIR}/certs/make-certs.sh ${SALLYPORT_CERTS_DIR}
    COMMENT "Test certificates in ${SALLYPORT_CERTS_DIR}"
    VERBATIM)
