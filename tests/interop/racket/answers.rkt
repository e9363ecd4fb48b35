#lang racket/base
;; Answers questions about Racket's openssl library, for racket_answers_test.cc: one a line on standard input,
;; one a line on standard output. A question that raises an exception is answered with "error".
;;
;;   sealed client|server PROCEDURE     under which name does it fail on a sealed context?
;;   supported client|server            the protocols, worst first
;;   max client|server                  the best of them
;;   sha1 TEXT, md5 TEXT                of the text's bytes
;;   hex TEXT                           of the text's bytes
;;   unhex TEXT                         and in hex again
;;   names HOST ...                     of the certificate of the server in the argument port, named HOST
;;                                      by SNI: is it for these names?
(require openssl openssl/md5 openssl/sha1 racket/string racket/tcp)

;; ---- sealed contexts --------------------------------------------------------------------------

(define no-file "/there/is/no/such/file")

(define setters
  (hash "ssl-load-certificate-chain!" (lambda (c) (ssl-load-certificate-chain! c no-file))
        "ssl-load-private-key!" (lambda (c) (ssl-load-private-key! c no-file))
        "ssl-load-verify-source!" (lambda (c) (ssl-load-verify-source! c no-file))
        "ssl-load-verify-root-certificates!"
        (lambda (c) (ssl-load-verify-root-certificates! c no-file))
        "ssl-load-suggested-certificate-authorities!"
        (lambda (c) (ssl-load-suggested-certificate-authorities! c no-file))
        "ssl-load-default-verify-sources!" ssl-load-default-verify-sources!
        "ssl-set-ciphers!" (lambda (c) (ssl-set-ciphers! c "DEFAULT"))
        "ssl-set-verify!" (lambda (c) (ssl-set-verify! c #t))
        "ssl-try-verify!" (lambda (c) (ssl-try-verify! c #t))
        "ssl-set-verify-hostname!" (lambda (c) (ssl-set-verify-hostname! c #t))
        "ssl-server-context-enable-dhe!" (lambda (c) (ssl-server-context-enable-dhe! c))
        "ssl-server-context-enable-ecdhe!" (lambda (c) (ssl-server-context-enable-ecdhe! c))
        "ssl-set-server-name-identification-callback!"
        (lambda (c) (ssl-set-server-name-identification-callback! c (lambda (name) #f)))
        "ssl-set-server-alpn!" (lambda (c) (ssl-set-server-alpn! c '(#"h2")))
        "ssl-seal-context!" ssl-seal-context!))

(define (sealed role procedure)
  (define context
    (if (equal? role "client") (ssl-make-client-context 'auto) (ssl-make-server-context 'auto)))
  (ssl-seal-context! context)
  (with-handlers ([exn:fail? (lambda (failure)
                               (define words (string-split (exn-message failure) ": "))
                               (if (string-prefix? (cadr words) "context is sealed")
                                   (car words)
                                   (exn-message failure)))])
    ((hash-ref setters procedure) context)
    "no failure"))

;; ---- names ------------------------------------------------------------------------------------

;; Ends and begins with a quotation mark, so that an empty one is a word too.
(define (unquoted word)
  (substring word 1 (sub1 (string-length word))))

(define (names host . asked)
  (define-values (in out)
    (tcp-connect "127.0.0.1" (string->number (vector-ref (current-command-line-arguments) 0))))
  (define-values (tls-in tls-out)
    (ports->ssl-ports in out
                      #:mode 'connect
                      #:context (ssl-make-client-context 'auto)
                      #:close-original? #t
                      #:hostname host))
  (define found
    (for/list ([name (in-list asked)])
      (if (ssl-peer-check-hostname tls-in (unquoted name)) "yes" "no")))
  (close-output-port tls-out)
  (close-input-port tls-in)
  (string-join found))

;; ---- the answer to a line ---------------------------------------------------------------------

(define (protocols role)
  (if (equal? role "client") (supported-client-protocols) (supported-server-protocols)))

(define (answer line)
  (define words (string-split line " " #:trim? #f))
  (define text (string-join (cdr words)))
  (case (car words)
    [("sealed") (sealed (cadr words) (caddr words))]
    [("supported") (string-join (map symbol->string (protocols text)))]
    [("max") (symbol->string
              (if (equal? text "client") (ssl-max-client-protocol) (ssl-max-server-protocol)))]
    [("sha1") (sha1 (open-input-string text))]
    [("md5") (md5 (open-input-string text))]
    [("hex") (bytes->hex-string (string->bytes/utf-8 text))]
    [("unhex") (bytes->hex-string (hex-string->bytes text))]
    [("names") (apply names (cdr words))]
    [else "what?"]))

(for ([line (in-lines)])
  (displayln (with-handlers ([exn:fail? (lambda (failure) "error")]) (answer line)))
  (flush-output))
