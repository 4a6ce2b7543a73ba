#!/usr/bin/perl
# A small SMS centre on Debian's libnet-smpp-perl, to try softacs against an SMPP implementation that is not its own (docs/operations.md, SMS).
#
#   centre.pl [--port 2775] [--id softacs] [--password secret] [--out FILE] [--from NUMBER --text TEXT]
#
# It takes messages, names them in hexadecimal, appends each to FILE as the file: driver does, and sends a receipt that writes the name in
# decimal. With --from and --text a subscriber writes to whoever binds.
use strict;
use warnings;
use Encode;
use Getopt::Long;
use JSON::PP;
use Net::SMPP;

my %o = (port => 2775, id => 'softacs', password => 'secret');
GetOptions(\%o, 'port=i', 'id=s', 'password=s', 'out=s', 'from=s', 'text=s') or die "see the head of $0\n";
$| = 1;
$SIG{CHLD} = 'IGNORE';
my $listener = Net::SMPP->new_listen('127.0.0.1', port => $o{port}, smpp_version => 0x34, async => 1) or die "listen: $!\n";
print "listening on 127.0.0.1:$o{port}\n";
while (1) {
    my $c = $listener->accept or next;
    fork and next;
    serve($c);
    exit;
}

sub serve {
    my ($c) = @_;
    my $n = 0xABC0;
    while (my $p = $c->read_pdu) {
        my $name = Net::SMPP::pdu_tab->{ $p->{cmd} }{cmd};
        print "$name seq=$p->{seq} status=$p->{status}\n";
        if ($name eq 'bind_transceiver') {
            my $ok = $p->{system_id} eq $o{id} && $p->{password} eq $o{password};
            printf "  system_id=%s interface_version=%x %s\n", $p->{system_id}, $p->{interface_version}, $ok ? 'welcome' : 'refused';
            $c->bind_transceiver_resp(system_id => 'netsmpp', seq => $p->{seq}, status => $ok ? 0 : 0x0E);
            $c->deliver_sm(async => 1, source_addr_ton => 1, source_addr_npi => 1, source_addr => $o{from}, destination_addr => '10086', short_message => $o{text})
              if $ok && defined $o{from};
        }
        elsif ($name eq 'submit_sm') {
            my $text = $p->{data_coding} == 8 ? decode('UTF-16BE', $p->{short_message}) : $p->{short_message};
            printf "  %s/%s/%s -> %s/%s/%s coding=%d registered=%d validity=%s %s\n", @$p{qw(source_addr_ton source_addr_npi source_addr)},
              @$p{qw(dest_addr_ton dest_addr_npi destination_addr data_coding registered_delivery validity_period)}, encode('UTF-8', $text);
            $n++;
            $c->submit_sm_resp(message_id => sprintf('%X', $n), seq => $p->{seq});
            keep("+$p->{destination_addr}", $text);
            $c->deliver_sm(
                async => 1, esm_class => 4, source_addr_ton => 1, source_addr_npi => 1, source_addr => $p->{destination_addr},
                destination_addr => $p->{source_addr},
                short_message    => sprintf('id:%010d sub:001 dlvrd:001 submit date:2601050200 done date:2601050201 stat:DELIVRD err:000 text:', $n)
            );
        }
        elsif ($name eq 'enquire_link') { $c->enquire_link_resp(seq => $p->{seq}) }
        elsif ($name eq 'unbind') { $c->unbind_resp(seq => $p->{seq}); return }
    }
}

sub keep {
    my ($to, $text) = @_;
    return if !defined $o{out};
    open my $f, '>>', $o{out} or die "$o{out}: $!\n";
    print $f encode_json({ to => $to, text => $text }), "\n";
    close $f or die "$o{out}: $!\n";
}
