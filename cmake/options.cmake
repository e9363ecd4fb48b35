# Every switch of the build, in one place.

# PROJECT_IS_TOP_LEVEL: a project that takes us in by add_subdirectory gets the library and nothing else.
option(BUILD_SHARED_LIBS "Build a shared library" ${PROJECT_IS_TOP_LEVEL})
option(SALLYPORT_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(SALLYPORT_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(SALLYPORT_BUILD_BENCH "Build the benchmark programs" ${PROJECT_IS_TOP_LEVEL})
option(SALLYPORT_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
option(SALLYPORT_COVERAGE "Count which lines run (gcov)" OFF)
option(SALLYPORT_TEST_LONG "Time limits for the long runs of the tests" OFF)
set(SALLYPORT_TEST_PARTS 0 CACHE STRING
    "In how many processes each test program runs its cases; 0: each case has its own")
set(SALLYPORT_SANITIZE "" CACHE STRING
    "Sanitizers to build with, as a list: address;undefined or thread")

if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(sally_default_wake eventfd)
    set(sally_default_pollset epoll)
else()
    set(sally_default_wake pipe)
    set(sally_default_pollset poll)
endif()

include(CheckSymbolExists)
set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
check_symbol_exists(fopencookie stdio.h SALLYPORT_HAS_FOPENCOOKIE)
unset(CMAKE_REQUIRED_DEFINITIONS)
if(SALLYPORT_HAS_FOPENCOOKIE)
    set(sally_default_stream cookie)
else()
    set(sally_default_stream none)
endif()

# sally_choice(NAME default help value...): a cache string that is one of the values.
function(sally_choice name default help)
    set(${name} ${default} CACHE STRING "${help}")
    set_property(CACHE ${name} PROPERTY STRINGS ${ARGN})
    if(NOT "${${name}}" IN_LIST ARGN)
        list(JOIN ARGN ", " values)
        message(FATAL_ERROR "${name} is \"${${name}}\"; it must be one of: ${values}")
    endif()
endfunction()

sally_choice(SALLYPORT_WAKE ${sally_default_wake} "How a break wakes its waiters" eventfd pipe)
sally_choice(SALLYPORT_POLLSET ${sally_default_pollset} "How many sockets are watched" epoll poll)
sally_choice(SALLYPORT_STREAM ${sally_default_stream} "How a port becomes a FILE" cookie none)

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()
