# sally_test_timeout(VAR): the time limit in VAR, or the usual one, in seconds; slower builds get more.
function(sally_test_timeout var)
    set(seconds "${${var}}")
    if(NOT seconds)
        set(seconds 60)
    endif()
    if(SALLYPORT_SANITIZE OR SALLYPORT_COVERAGE)
        math(EXPR seconds "${seconds} * 5")
    endif()
    if(SALLYPORT_TEST_LONG)
        math(EXPR seconds "${seconds} * 30")
    endif()
    set(${var} ${seconds} PARENT_SCOPE)
endfunction()

# Most of the time that a test file takes to compile goes into these headers. Compiler caches do not find
# again what was compiled with precompiled ones.
function(sally_precompile_headers target)
    get_target_property(sources ${target} SOURCES)
    list(LENGTH sources count)
    if(count GREATER 5 AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        target_precompile_headers(${target} PRIVATE
            <gtest/gtest.h> <atomic> <functional> <memory> <mutex> <set> <string> <thread> <vector>
            <openssl/ssl.h> <openssl/x509v3.h>)
    endif()
endfunction()

# What glibc keeps for each thread counts as used: without it, growth is what the library has not freed.
set(sally_test_malloc GLIBC_TUNABLES=glibc.malloc.tcache_count=0)

# sally_add_tests(NAME LABEL LINK library... SOURCES file... [MAIN] [TIMEOUT seconds] [ALONE suite...])
#
# One GoogleTest program NAME; each of its cases is a ctest entry LABEL.Suite.Case with the label
# LABEL. With SALLYPORT_TEST_PARTS=n its cases share n processes instead, the entries LABEL.part_0 and
# so on, which is quicker where programs are slow to start; each writes its report to parts/. MAIN says
# that the sources bring their own main(). In long runs nothing runs beside the suites of ALONE. An empty list
# of sources makes nothing.
function(sally_add_tests name label)
    cmake_parse_arguments(PARSE_ARGV 2 arg "MAIN" "TIMEOUT" "LINK;SOURCES;ALONE")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "sally_add_tests(${name}): what is \"${arg_UNPARSED_ARGUMENTS}\"?")
    endif()
    if(NOT arg_SOURCES)
        return()
    endif()
    sally_test_timeout(arg_TIMEOUT)

    add_executable(${name} ${arg_SOURCES})
    target_compile_features(${name} PRIVATE cxx_std_17)
    target_compile_definitions(${name} PRIVATE
        SALLY_TEST_CERTS="${SALLYPORT_CERTS_DIR}"
        SALLY_TEST_BUILD="${PROJECT_BINARY_DIR}"
        SALLY_TEST_SOURCE="${PROJECT_SOURCE_DIR}"
        "$<$<STREQUAL:${SALLYPORT_WAKE},pipe>:SALLY_TEST_PIPES=1>")
    target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gtest sallyport_flags)
    if(NOT arg_MAIN)
        target_link_libraries(${name} PRIVATE GTest::gtest_main)
    endif()
    add_dependencies(${name} certs)
    sally_precompile_headers(${name})

    if(SALLYPORT_TEST_PARTS)
        sally_add_parts(${name} ${label} ${arg_TIMEOUT})
        return()
    endif()
    set(alone)
    if(SALLYPORT_TEST_LONG)
        list(TRANSFORM arg_ALONE APPEND ".*" OUTPUT_VARIABLE alone)
        list(JOIN alone ":" alone)
    endif()
    if(alone)
        sally_discover_cases(${name} ${label} ${arg_TIMEOUT} "${alone}" RUN_SERIAL TRUE)
    endif()
    sally_discover_cases(${name} ${label} ${arg_TIMEOUT} "*-${alone}")
endfunction()

# sally_discover_cases(NAME LABEL TIMEOUT FILTER [property value]...)
function(sally_discover_cases name label timeout filter)
    gtest_discover_tests(${name}
        TEST_PREFIX ${label}.
        TEST_FILTER ${filter}
        DISCOVERY_MODE PRE_TEST
        DISCOVERY_TIMEOUT 60
        NO_PRETTY_VALUES
        PROPERTIES LABELS ${label} TIMEOUT ${timeout} ENVIRONMENT ${sally_test_malloc} ${ARGN})
endfunction()

# Each case still has its own time limit, the watchdog's.
function(sally_add_parts name label timeout)
    math(EXPR timeout "${timeout} * 20")
    math(EXPR last "${SALLYPORT_TEST_PARTS} - 1")
    foreach(part RANGE ${last})
        set(entry ${label}.part_${part})
        add_test(NAME ${entry} COMMAND ${name}
            --gtest_brief=1 --gtest_output=xml:${PROJECT_BINARY_DIR}/parts/${entry}.xml)
        set_tests_properties(${entry} PROPERTIES
            ENVIRONMENT "GTEST_TOTAL_SHARDS=${SALLYPORT_TEST_PARTS};GTEST_SHARD_INDEX=${part};${sally_test_malloc}"
            LABELS ${label}
            TIMEOUT ${timeout})
    endforeach()
endfunction()

# sally_add_script_test(NAME LABEL COMMAND word... [TIMEOUT seconds])
#
# A script as one ctest entry LABEL.NAME: exit status 0 passes, 77 is a skip, anything else fails.
function(sally_add_script_test name label)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "TIMEOUT" "COMMAND")
    sally_test_timeout(arg_TIMEOUT)
    add_test(NAME ${label}.${name} COMMAND ${arg_COMMAND})
    set_tests_properties(${label}.${name} PROPERTIES
        LABELS ${label}
        TIMEOUT ${arg_TIMEOUT}
        SKIP_RETURN_CODE 77)
endfunction()
