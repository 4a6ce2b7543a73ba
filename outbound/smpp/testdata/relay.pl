#!/usr/bin/perl
# Lets softacs talk to the SMS centre of Debian's kannel, drive_smpp, which knows bind_transmitter and bind_receiver but not bind_transceiver
# (docs/operations.md, SMS).
#
#   relay.pl [LISTEN_PORT [CENTRE_PORT]]
#
# One bind of softacs becomes two of the centre's; every other PDU passes unchanged, requests to us and their answers by the second connection.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my ($listen, $centre) = (@ARGV, 2775, 2345)[0, 1];
$| = 1;
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$listen", Listen => 1, ReuseAddr => 1) or die "listen: $!\n";
while (my $softacs = $listener->accept) {
    my ($transmitter, $receiver) = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$centre") or die "centre: $!\n" } 1, 2;
    my %name   = ($softacs => 'softacs', $transmitter => 'transmitter', $receiver => 'receiver');
    my $select = IO::Select->new($softacs, $transmitter, $receiver);
  CONNECTION: while (my @ready = $select->can_read) {
        for my $from (@ready) {
            my ($command, $status, $sequence, $body) = take($from) or last CONNECTION;
            printf "%-11s %08X status=%X seq=%d %d octets\n", $name{$from}, $command, $status, $sequence, length $body;
            if ($from == $softacs) {
                my @to = ($command & 0x80000000) ? ($receiver) : $command == 6 || $command == 9 ? ($transmitter, $receiver) : ($transmitter);
                give($_, $command == 9 ? ($_ == $transmitter ? 2 : 1) : $command, $status, $sequence, $body) for @to;
            }
            elsif ($from == $transmitter) { give($softacs, $command == 0x80000002 ? 0x80000009 : $command, $status, $sequence, $body) }
            elsif (!($command & 0x80000000)) { give($softacs, $command, $status, $sequence, $body) }
        }
    }
    close $_ for $softacs, $transmitter, $receiver;
}

sub octets {
    my ($from, $n) = @_;
    my $all = '';
    while (length $all < $n) { sysread($from, $all, $n - length $all, length $all) or return }
    return $all;
}

sub take {
    my ($from) = @_;
    my $head = octets($from, 16) or return;
    my ($length, @rest) = unpack 'N4', $head;
    my $body = $length > 16 ? octets($from, $length - 16) : '';
    return (@rest, $body // return);
}

sub give {
    my ($to, $command, $status, $sequence, $body) = @_;
    syswrite $to, pack('N4', 16 + length $body, $command, $status, $sequence) . $body;
}
