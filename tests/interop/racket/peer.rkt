#lang racket/base
;; Racket's own library at the other end of connections, for racket_test.cc.
;;
;;   racket peer.rkt client key=value ... do=WHAT key=value ... do=WHAT
;;   racket peer.rkt server cert=STEM key=value ... do=WHAT ...
;;
;; Words are heeded from left to right. `do` is one connection, made or taken, with what was said before it;
;; it names one of the procedures at the end, each of which says in lines what it saw. A failure says its
;; message.
;;
;; A client:  port=N  ca=FILE  name=NAME (to be sent and checked; none: no name)  alpn=A,B
;;            protocol=tls12  shutdown=yes
;; A server:  cert=STEM  sni=STEM (for second.example)  alpn=A,B  match=no  protocol=tls12
;;            A `do` behind any of these has a listener of its own, which says "port of STEM is N".
(require openssl openssl/sha1 racket/string racket/tcp)

(define role (vector-ref (current-command-line-arguments) 0))
(define words (cdr (vector->list (current-command-line-arguments))))

(define settings (make-hash))
(define (setting key [default #f])
  (hash-ref settings key default))
(define (alpn-setting)
  (map string->bytes/utf-8 (string-split (setting "alpn" "") ",")))
(define (protocol-setting)
  (string->symbol (setting "protocol" "auto")))

(define (say format-string . values)
  (apply printf format-string values)
  (newline)
  (flush-output))

;; ---- ends -------------------------------------------------------------------------------------

(define (client-context)
  (define context (ssl-make-client-context (protocol-setting)))
  (when (setting "ca")
    (ssl-load-verify-source! context (setting "ca"))
    (ssl-set-verify! context #t)
    (ssl-set-verify-hostname! context #t))
  context)

;; Over ports where a name is to be sent that is not the host's, or a goodbye is wanted.
(define (connect)
  (define port (string->number (setting "port")))
  (define name (setting "name"))
  (cond
    [(or name (setting "shutdown"))
     (define-values (in out) (tcp-connect "127.0.0.1" port))
     (ports->ssl-ports in out
                       #:mode 'connect
                       #:context (client-context)
                       #:close-original? #t
                       #:shutdown-on-close? (and (setting "shutdown") #t)
                       #:hostname (if (equal? name "none") #f (or name "localhost"))
                       #:alpn (alpn-setting))]
    [else (ssl-connect "localhost" port (client-context) #:alpn (alpn-setting))]))

(define (server-context stem)
  (define context (ssl-make-server-context (protocol-setting)))
  (ssl-load-certificate-chain! context (string-append stem ".pem"))
  (ssl-load-private-key! context (string-append stem "-key.pem") #f #f)
  (unless (null? (alpn-setting))
    (ssl-set-server-alpn! context (alpn-setting) (not (equal? (setting "match") "no"))))
  context)

(define (listen)
  (define context (server-context (setting "cert")))
  (when (setting "sni")
    (define other (server-context (setting "sni")))
    (ssl-set-server-name-identification-callback!
     context
     (lambda (name)
       (say "asked for ~a" name)
       (and (equal? name "second.example") other))))
  (define listener (ssl-listen 0 5 #t "127.0.0.1" context))
  (define-values (address port far-address far-port) (ssl-addresses listener #t))
  (say "port of ~a is ~a" (setting "cert") port)
  listener)

(define listener #f)
(define (accept)
  (unless listener
    (set! listener (listen)))
  (ssl-accept listener))

;; ---- what is done with a connection -----------------------------------------------------------

(define (some-bytes n)
  (define block (apply bytes (for/list ([i (in-range 251)]) i)))
  (define all (make-bytes n))
  (for ([start (in-range 0 n 251)])
    (bytes-copy! all start block 0 (min 251 (- n start))))
  all)

;; Sends the size in a line and so many bytes, and wants them back.
(define (ask-for-echo in out n)
  (define sent (some-bytes n))
  (fprintf out "~a\n" n)
  (write-bytes sent out)
  (flush-output out)
  (define back (read-bytes n in))
  (say (if (equal? back sent) "echoed ~a" "echo of ~a is wrong") n))

;; Takes a whole message before it answers: Racket's ports work one direction at a time.
(define (give-echoes in out)
  (define line (read-line in))
  (unless (eof-object? line)
    (define n (string->number line))
    (write-bytes (read-bytes n in) out)
    (flush-output out)
    (say "echoed ~a" n)
    (give-echoes in out)))

;; Everything up to the end; what comes before a cut counts too.
(define (read-all in)
  (define buffer (make-bytes 4096))
  (let loop ([all #""])
    (define n
      (with-handlers ([exn:fail? (lambda (failure) eof)]) (read-bytes-avail! buffer in)))
    (if (eof-object? n) all (loop (bytes-append all (subbytes buffer 0 n))))))

(define (binding-of in type)
  (with-handlers ([exn:fail? (lambda (failure) "none")])
    (bytes->hex-string (ssl-channel-binding in type))))

(define (tell in out)
  (say "version ~a" (ssl-protocol-version in))
  (say "alpn ~a" (ssl-get-alpn-selected in))
  (say "subject ~a" (ssl-peer-subject-name in))
  (say "verified ~a" (ssl-peer-verified? in))
  (for ([type (in-list '(tls-exporter tls-unique tls-server-end-point))])
    (say "~a ~a" type (binding-of in type)))
  (say "default ~a" (car (ssl-default-channel-binding in))))

(define (act what in out)
  (case what
    [("echo") (if (equal? role "client")
                  (for ([n (in-list '(1 100 16384 16385 1000000))]) (ask-for-echo in out n))
                  (give-echoes in out))]
    [("tell") (tell in out)]
    ;; Sends its last words, closes that side, and reads on.
    [("half-close")
     (write-bytes #"last words" out)
     (close-output-port out)
     (say "read ~a" (read-all in))]
    ;; The same, but gives the side up.
    [("abandon")
     (write-bytes #"kept" out)
     (ssl-abandon-port out)
     (say "read ~a" (read-all in))]
    [("read") (say "read ~a" (read-all in))]))

(define (serve what)
  (with-handlers ([exn:fail? (lambda (failure) (say "failed: ~a" (exn-message failure)))])
    (define-values (in out) (if (equal? role "client") (connect) (accept)))
    (act what in out)
    (close-output-port out)
    (close-input-port in)))

(for ([word (in-list words)])
  (define parts (string-split word "=" #:trim? #f))
  (define value (string-join (cdr parts) "="))
  (cond
    [(equal? (car parts) "do") (serve value)]
    [else
     (set! listener #f)
     (hash-set! settings (car parts) value)]))
