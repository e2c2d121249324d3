# perl client.pl URL: the answers to a GET and to a POST.
use HTTP::Tiny;
my $client = HTTP::Tiny->new(keep_alive => 1);
for my $body ('', 'x' x 100_000) {
  my $reply = $client->request($body eq '' ? 'GET' : 'POST', $ARGV[0], { content => $body });
  $reply->{content} =~ s/\s+$//;
  print "$reply->{content}\n";
}
