#lang racket/base
;; A mail server of Racket's that is upgraded in place, for starttls_test.cc: it takes one client, says what
;; mail_server of docs/starttls.md says, and ends.
;;
;;   racket starttls.rkt STEM
(require openssl racket/tcp)

(define stem (vector-ref (current-command-line-arguments) 0))
(define context (ssl-make-server-context 'auto))
(ssl-load-certificate-chain! context (string-append stem ".pem"))
(ssl-load-private-key! context (string-append stem "-key.pem") #f #f)

(define listener (tcp-listen 0 5 #t "127.0.0.1"))
(define-values (address port far-address far-port) (tcp-addresses listener #t))
(printf "port ~a\n" port)
(flush-output)

(define (answer out text)
  (write-string (string-append text "\r\n") out)
  (flush-output out))

(define (expect in line)
  (define got (read-line in 'return-linefeed))
  (unless (equal? got line)
    (error 'starttls "expected ~s, got ~s" line got)))

(define-values (in out) (tcp-accept listener))
(answer out "220 localhost ready")
(expect in "EHLO me")
(answer out "250-localhost\r\n250 STARTTLS")
(expect in "STARTTLS")
(answer out "220 go ahead")

(define-values (tls-in tls-out)
  (ports->ssl-ports in out #:mode 'accept #:context context #:close-original? #t))
(expect tls-in "EHLO me")
(answer tls-out "250 localhost")
(expect tls-in "MAIL FROM:<me@example.org>")
(answer tls-out "250 taken")
(expect tls-in "QUIT")
(answer tls-out "221 goodbye")
(close-output-port tls-out)
(close-input-port tls-in)
